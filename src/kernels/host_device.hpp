// Formulas that every backend shares are compiled for the GPU too where nvcc reads them.
#pragma once

#if defined(__CUDACC__)
#define MONGE_HOST_DEVICE __host__ __device__
#else
#define MONGE_HOST_DEVICE
#endif
