# MONGE_BUILD_COMMIT: what -DMONGE_COMMIT says, else git's HEAD with "+" when tracked files differ.
# Only a checkout of monge itself is asked: an sdist unpacked inside another repository is not
# that repository's commit.
set(MONGE_BUILD_COMMIT unknown)
if(MONGE_COMMIT)
  set(MONGE_BUILD_COMMIT ${MONGE_COMMIT})
elseif(EXISTS ${PROJECT_SOURCE_DIR}/.git)
  execute_process(COMMAND git describe --always --abbrev=12 --exclude=* --dirty=+
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(MONGE_BUILD_COMMIT ${commit})
  endif()
  # Asked again after every commit.
  execute_process(COMMAND git rev-parse --path-format=absolute --git-path logs/HEAD
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE log OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(EXISTS "${log}")
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${log})
  endif()
endif()
