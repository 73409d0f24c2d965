# MONGE_CUDA as asked: ON insists on nvcc, AUTO takes it where it is. Says which it was.
string(TOUPPER "${MONGE_CUDA}" asked)
if(NOT asked STREQUAL AUTO AND NOT asked)
  set(MONGE_CUDA OFF)
  message(STATUS "CUDA backend: not built (MONGE_CUDA=OFF)")
  return()
endif()

set(CMAKE_CUDA_ARCHITECTURES 90 CACHE STRING "CUDA architectures")  # H100 and H200
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(asked STREQUAL AUTO)
    set(MONGE_CUDA OFF)
    message(STATUS "CUDA backend: not built (no nvcc on PATH; MONGE_CUDA=AUTO)")
    return()
  endif()
  message(FATAL_ERROR "MONGE_CUDA=ON needs nvcc on PATH (or CMAKE_CUDA_COMPILER); "
                      "AUTO or OFF build the CPU part alone")
endif()
set(MONGE_CUDA ON)
message(STATUS "CUDA backend: built with ${CMAKE_CUDA_COMPILER}")
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know it for nvcc
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
endif()
find_package(CUDAToolkit REQUIRED)
# Views, min, max and Philox are constexpr, not marked for the device.
add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>)
