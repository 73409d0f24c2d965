// What this library was built from and with, and what it finds on this machine.
#pragma once
#include <string>
#include <vector>

namespace monge {
struct Info {
  std::string version;  ///< "0.1.0"
  std::string commit;   ///< 12 hexadecimal digits, "+" after them when files differed; or "unknown"
  std::string compiler;  ///< name and version
  /// Of calls that start now, and all that MONGE_TARGET may name here, best first.
  std::string instruction_set;
  std::vector<std::string> instruction_sets;
  /// Optional parts of this build, each with its version: "cuda 13.0". A part that is not listed
  /// throws NotAvailable when asked for.
  std::vector<std::string> components;
  /// What `cuda` was compiled for: "sm_90a" is machine code, "compute_80" PTX for all later GPUs.
  std::vector<std::string> cuda_code;
  std::string cuda_driver;  ///< newest CUDA version that the driver supports; empty: no driver
  /// "cpu", and "cuda:0 NVIDIA H100 80GB HBM3 (sm_90, 79 GiB)" of each GPU that `cuda` finds.
  std::vector<std::string> devices;
};

/// A missing or failing device is not listed. Throws InvalidArgument when MONGE_TARGET names an
/// instruction set that cannot run here, as every solve does.
Info info();
/// Parts of it that start nothing: asking for devices makes a context on each GPU.
std::string version();
std::vector<std::string> components();
}  // namespace monge
