// Where an array lives. A device travels inside every view; nothing is chosen globally.
#pragma once
#include <cstdint>
#include <string>

#include "monge/core/error.hpp"

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
/// The inverse; "cuda" is "cuda:0". Throws InvalidArgument.
inline Device parse_device(const std::string& name) {
  if (name == "cpu") return {};
  if (name == "cuda") return {DeviceKind::cuda, 0};
  const std::string digits = name.starts_with("cuda:") ? name.substr(5) : "";
  if (digits.empty() || digits.size() > 4 ||
      digits.find_first_not_of("0123456789") != std::string::npos)
    throw InvalidArgument("[device] '" + name + "' is no device; wanted cpu, cuda or cuda:INDEX",
                          "device");
  return {DeviceKind::cuda, std::stoi(digits)};
}
}  // namespace monge
