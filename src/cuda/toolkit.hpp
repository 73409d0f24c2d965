// The CUDA run time as the rest of monge may see it: no CUDA header appears here.
#pragma once
#include <string>
#include <vector>

namespace monge::cuda {
/// Version of the run time that was linked, "13.0".
std::string toolkit_version();
/// Names of the visible devices; empty where there is no driver.
std::vector<std::string> device_names();
}  // namespace monge::cuda
