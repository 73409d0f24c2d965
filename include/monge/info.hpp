// What this library was built from and with, and what it finds on this machine.
#pragma once
#include <string>
#include <vector>

namespace monge {
struct Info {
  std::string version;   ///< "0.1.0"
  std::string commit;    ///< 12 hexadecimal digits, "+" after them when files differed; or "unknown"
  std::string compiler;  ///< name and version
  /// Optional parts of this build, each with its version: "cuda 13.0". A part that is not listed
  /// throws NotAvailable when asked for.
  std::vector<std::string> components;
  std::vector<std::string> devices;  ///< "cpu", and the name of each GPU that `cuda` finds
};

/// Never throws for a missing or failing device: it is then not listed.
Info info();
}  // namespace monge
