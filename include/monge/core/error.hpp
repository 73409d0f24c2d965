// Every exception monge throws. Not converging is never one: it is data in a report.
#pragma once
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace monge {
/// Base of all. what() starts with the room in brackets: `[problem] a has 5 weights, x has 7
/// points`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A malformed call: what was given and what was wanted, the argument's name and, where one
/// entry is to blame, its index.
class InvalidArgument : public Error {
 public:
  explicit InvalidArgument(const std::string& message, std::string argument = {},
                           std::optional<std::int64_t> index = {})
      : Error(message), argument_(std::move(argument)), index_(index) {}
  const std::string& argument() const { return argument_; }
  std::optional<std::int64_t> index() const { return index_; }

 private:
  std::string argument_;
  std::optional<std::int64_t> index_;
};

/// A well-formed call that this build, device or geometry cannot answer.
class NotAvailable : public Error {
 public:
  using Error::Error;
};

/// The device itself failed.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// A file that cannot be read or written.
class IoError : public Error {
 public:
  using Error::Error;
};

/// An allocation that did not fit; the message states the bytes wanted.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// Exec's stop flag or progress hook asked to stop in the middle of a call.
class Interrupted : public Error {
 public:
  Interrupted() : Error("[exec] interrupted by the caller") {}
};
}  // namespace monge
