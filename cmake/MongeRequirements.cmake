# monge_require_header(NAME HEADER APT DNF BREW CONDA) sets NAME_INCLUDE_DIR or remembers the names
# of the missing package; monge_stop_if_missing() then tells all of them at once, so that a
# newcomer installs once. Nothing is ever downloaded.
set_property(GLOBAL PROPERTY MONGE_MISSING_APT "")

function(monge_remember_missing name apt dnf brew conda)
  set_property(GLOBAL APPEND PROPERTY MONGE_MISSING_NAME ${name})
  set_property(GLOBAL APPEND PROPERTY MONGE_MISSING_APT ${apt})
  set_property(GLOBAL APPEND PROPERTY MONGE_MISSING_DNF ${dnf})
  set_property(GLOBAL APPEND PROPERTY MONGE_MISSING_BREW ${brew})
  set_property(GLOBAL APPEND PROPERTY MONGE_MISSING_CONDA ${conda})
endfunction()

function(monge_require_header name header apt dnf brew conda)
  find_path(${name}_INCLUDE_DIR ${header})
  mark_as_advanced(${name}_INCLUDE_DIR)
  if(NOT ${name}_INCLUDE_DIR)
    monge_remember_missing(${name} ${apt} ${dnf} ${brew} ${conda})
  endif()
endfunction()

# monge_require_boost(COMPONENT ...): its static libraries, so that a wheel carries no other one.
function(monge_require_boost apt dnf brew conda)
  set(Boost_USE_STATIC_LIBS ON)
  find_package(Boost 1.74 QUIET CONFIG COMPONENTS ${ARGN})
  if(NOT Boost_FOUND)
    monge_remember_missing("Boost (${ARGN})" ${apt} ${dnf} ${brew} ${conda})
  endif()
endfunction()

function(monge_stop_if_missing)
  get_property(names GLOBAL PROPERTY MONGE_MISSING_NAME)
  if(NOT names)
    return()
  endif()
  list(JOIN names ", " text)
  set(text "monge needs ${text}. Install with one of\n")
  foreach(manager "APT|apt-get install" "DNF|dnf install" "BREW|brew install"
                  "CONDA|conda install -c conda-forge")
    string(REPLACE "|" ";" manager "${manager}")
    list(GET manager 0 key)
    list(GET manager 1 command)
    get_property(packages GLOBAL PROPERTY MONGE_MISSING_${key})
    list(JOIN packages " " packages)
    string(APPEND text "  ${command} ${packages}\n")
  endforeach()
  message(FATAL_ERROR "${text}")
endfunction()
