# MONGE_JAX as asked: ON insists on the headers of jaxlib, AUTO takes them where they are. Says which it
# was. Headers alone: nothing of jaxlib is linked.
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "import importlib.util as u, os; s = u.find_spec('jaxlib'); \
print(os.path.join(list(s.submodule_search_locations)[0], 'include') if s else '')"
  OUTPUT_VARIABLE MONGE_JAX_INCLUDE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
string(TOUPPER "${MONGE_JAX}" asked)
if(NOT asked STREQUAL AUTO AND NOT asked)
  set(MONGE_JAX OFF)
  message(STATUS "JAX: not built (MONGE_JAX=OFF)")
elseif(EXISTS "${MONGE_JAX_INCLUDE}/xla/ffi/api/ffi.h")
  set(MONGE_JAX ON)
  message(STATUS "JAX: built with ${MONGE_JAX_INCLUDE}")
elseif(asked STREQUAL AUTO)
  set(MONGE_JAX OFF)
  message(STATUS "JAX: not built (${Python_EXECUTABLE} has no jaxlib; MONGE_JAX=AUTO)")
else()
  message(FATAL_ERROR "MONGE_JAX=ON needs jaxlib for ${Python_EXECUTABLE}: pip install jaxlib")
endif()
