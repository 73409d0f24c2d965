// Where an array lives. A device travels inside every view; nothing is chosen globally.
#pragma once
#include <cstdint>
#include <string>

namespace monge {
enum class DeviceKind : std::uint8_t { cpu, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;

  bool is_cuda() const { return kind == DeviceKind::cuda; }
  friend bool operator==(const Device&, const Device&) = default;
};

/// "cpu" or "cuda:INDEX".
inline std::string to_string(const Device& device) {
  return device.is_cuda() ? "cuda:" + std::to_string(device.index) : "cpu";
}
}  // namespace monge
