// What an XLA custom call carries, as the core takes it; and how its errors and warnings leave.
#pragma once
#include <xla/ffi/api/ffi.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "monge/core/buffer.hpp"
#include "monge/core/error.hpp"
#include "monge/core/exec.hpp"
#include "monge/ot/divergence.hpp"

namespace monge::python::xla {
namespace ffi = ::xla::ffi;

/// Keywords that are static in JAX, by name.
class Attributes {
 public:
  explicit Attributes(const ffi::Dictionary& all) : all_(all) {}

  template <class V>
  V get(std::string_view name) const {
    const auto found = all_.get<V>(name);
    if (!found.has_value())
      throw InvalidArgument("[jax] attribute " + std::string(name) + ": " +
                            found.error().message());
    return found.value();
  }
  std::string text(std::string_view name) const { return std::string(get<std::string_view>(name)); }

 private:
  ffi::Dictionary all_;
};

struct Call {
  Device device;
  void* stream;
  ffi::RemainingArgs arguments;
  ffi::RemainingRets results;
  Attributes attributes;

  ffi::AnyBuffer argument(std::size_t i) const { return *arguments.get<ffi::AnyBuffer>(i); }
  ffi::AnyBuffer result(std::size_t i) const { return **results.get<ffi::AnyBuffer>(i); }
  Exec exec() const;
  /// But for an epsilon that is an operand: 0.
  DivergenceOptions options() const;
  /// Of each entry.
  std::vector<double> epsilons() const;
  static constexpr std::size_t kEpsilon = 4;  // the argument
};

/// From a type to another by way of the host: only where float32 is solved in double.
template <class To, class From>
void convert(To* to, const From* from, std::int64_t size, const Call& call) {
  const auto bytes = [size](auto unit) { return size * static_cast<std::int64_t>(sizeof(unit)); };
  if constexpr (std::is_same_v<To, From>) {
    copy(to, call.device, from, call.device, bytes(To{}), call.stream);
  } else {
    Buffer<From> given(size);
    Buffer<To> converted(size);
    copy(given.data(), {}, from, call.device, bytes(From{}), call.stream);
    std::transform(given.begin(), given.end(), converted.begin(),
                   [](From value) { return static_cast<To>(value); });
    copy(to, call.device, converted.data(), {}, bytes(To{}), call.stream);
  }
}

/// An argument, [entries, rows] or [entries, rows, cols], in the type S of the solve.
template <class S>
class Given {
 public:
  Given(const Call& call, std::size_t place) : device_(call.device) {
    const ffi::AnyBuffer buffer = call.argument(place);
    const auto shape = buffer.dimensions();
    entries = shape[0];
    rows = shape[1];
    cols = shape.size() > 2 ? shape[2] : 1;
    data_ = static_cast<const S*>(buffer.untyped_data());
    if (std::is_same_v<S, double> && buffer.element_type() == ffi::F32) {
      widened_ = Buffer<S>(entries * rows * cols, device_);
      convert(widened_.data(), static_cast<const float*>(buffer.untyped_data()), widened_.size(),
              call);
      data_ = widened_.data();
    }
  }

  MatrixView<const S> points(std::int64_t entry) const {
    return {data_ + entry * rows * cols, rows, cols, cols, 1, device_};
  }
  VectorView<const S> weights(std::int64_t entry) const {
    return {data_ + entry * rows, rows, 1, device_};
  }

  std::int64_t entries, rows, cols;

 private:
  Device device_;
  const S* data_ = nullptr;
  Buffer<S> widened_;
};

/// Tells by Python's warnings; where a filter makes that an exception, throws Error.
void warn(const std::string& text);

/// What `body` throws, as an error of XLA.
template <class Body>
ffi::Error guarded(const Body& body) {
  using Code = ffi::ErrorCode;
  try {
    body();
    return ffi::Error::Success();
  } catch (const InvalidArgument& e) {
    return {Code::kInvalidArgument, e.what()};
  } catch (const NotAvailable& e) {
    return {Code::kUnimplemented, e.what()};
  } catch (const OutOfMemory& e) {
    return {Code::kResourceExhausted, e.what()};
  } catch (const Interrupted& e) {
    return {Code::kCancelled, e.what()};
  } catch (const std::bad_alloc&) {
    return {Code::kResourceExhausted, "[jax] no memory for the arrays of this call"};
  } catch (const std::exception& e) {
    return {Code::kInternal, e.what()};
  }
}

ffi::Error transport(const Call& call);
ffi::Error derivative(const Call& call);
}  // namespace monge::python::xla
