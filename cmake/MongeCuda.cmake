set(CMAKE_CUDA_ARCHITECTURES 90 CACHE STRING "CUDA architectures")  # H100 and H200
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR "MONGE_CUDA=ON needs nvcc on PATH (or CMAKE_CUDA_COMPILER); "
                      "leave MONGE_CUDA off to build the CPU part alone")
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know it for nvcc
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
endif()
find_package(CUDAToolkit REQUIRED)
# Views, min, max and Philox are constexpr, not marked for the device.
add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>)
