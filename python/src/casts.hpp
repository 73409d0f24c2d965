// Between Python's arrays and names and the core's views and variants. Nothing is copied on the
// way in; on the way out the array owns the Buffer.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include "monge/core/buffer.hpp"
#include "monge/core/error.hpp"
#include "monge/ot/bounds.hpp"
#include "monge/ot/derivatives.hpp"
#include "monge/ot/geometry.hpp"
#include "monge/ot/marginal.hpp"

namespace monge::python {
namespace nb = nanobind;
using namespace nb::literals;

template <class T>
using Matrix = nb::ndarray<const T, nb::ndim<2>>;
template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>>;
/// A NumPy array or, for a GPU, what the framework's from_dlpack takes; stubs show the first.
template <class T, std::size_t Dims>
using Owned = nb::detail::ndarray_object<nb::numpy, T, nb::ndim<Dims>>;

/// Pinned memory is read as any other of the host, managed memory as the GPU's.
template <class Array>
Device device_of(const Array& array) {
  namespace device = nb::device;
  const int type = array.device_type();
  if (type == device::cpu::value || type == device::cuda_host::value) return {};
  if (type == device::cuda::value || type == device::cuda_managed::value)
    return {DeviceKind::cuda, array.device_id()};
  throw NotAvailable("[arrays] an array is on DLPack device type " + std::to_string(type) +
                     ", wanted the CPU or CUDA");
}

template <class T>
MatrixView<const T> view(const Matrix<T>& array) {
  return {array.data(),
          static_cast<std::int64_t>(array.shape(0)),
          static_cast<std::int64_t>(array.shape(1)),
          array.stride(0),
          array.stride(1),
          device_of(array)};
}

template <class T>
VectorView<const T> view(const Vector<T>& array) {
  return {array.data(), static_cast<std::int64_t>(array.shape(0)), array.stride(0),
          device_of(array)};
}

/// None is the core's empty view.
template <class T>
VectorView<const T> view(const std::optional<Vector<T>>& array) {
  return array ? view(*array) : VectorView<const T>{};
}

/// The buffer as an array, with which it goes.
template <class Array, class T, std::size_t Dims>
Array owning(Buffer<T>&& buffer, const std::array<std::int64_t, Dims>& shape) {
  auto* const owner = new Buffer<T>(std::move(buffer));
  const nb::capsule capsule(owner, [](void* p) noexcept { delete static_cast<Buffer<T>*>(p); });
  std::array<std::size_t, Dims> sizes;
  for (std::size_t k = 0; k < Dims; ++k) sizes[k] = static_cast<std::size_t>(shape[k]);
  const Device device = owner->device();
  const int type = device.is_cuda() ? nb::device::cuda::value : nb::device::cpu::value;
  return Array(owner->data(), Dims, sizes.data(), capsule, nullptr, nb::dtype<T>(), type,
               device.index);
}

template <class T, std::size_t Dims>
Owned<T, Dims> to_array(Buffer<T>&& buffer, const std::array<std::int64_t, Dims>& shape) {
  if (!buffer.device().is_cuda())
    return owning<nb::ndarray<nb::numpy, T, nb::ndim<Dims>>>(std::move(buffer), shape).cast();
  using OnGpu = nb::ndarray<nb::array_api, T, nb::ndim<Dims>>;
  return nb::borrow<Owned<T, Dims>>(nb::cast(owning<OnGpu>(std::move(buffer), shape)));
}

/// As a capsule of DLPack, which a framework takes once, without asking anything: its shortest way.
/// None where it is empty.
template <class T, std::size_t Dims>
nb::object to_capsule(Buffer<T>&& buffer, const std::array<std::int64_t, Dims>& shape) {
  if (buffer.size() == 0) return nb::none();
  return nb::cast(owning<nb::ndarray<T, nb::ndim<Dims>>>(std::move(buffer), shape));
}

template <class T>
Owned<T, 1> to_array(Buffer<T>&& buffer) {
  const std::int64_t size = buffer.size();
  return to_array<T, 1>(std::move(buffer), {size});
}

/// [rows, d] from what the core returns flat; None where it is empty.
template <class T>
std::optional<Owned<T, 2>> to_rows(Buffer<T>&& buffer, std::int64_t rows) {
  if (buffer.size() == 0) return std::nullopt;
  const std::int64_t d = buffer.size() / rows;
  return to_array<T, 2>(std::move(buffer), {rows, d});
}

template <class T>
std::optional<Owned<T, 1>> to_vector(Buffer<T>&& buffer) {
  if (buffer.size() == 0) return std::nullopt;
  return to_array(std::move(buffer));
}

/// (dx, dy, da, db, depsilon, drho_a, drho_b); None and 0 where not asked for.
template <class T>
using GradientTuple =
    std::tuple<std::optional<Owned<T, 2>>, std::optional<Owned<T, 2>>, std::optional<Owned<T, 1>>,
               std::optional<Owned<T, 1>>, double, double, double>;
template <class T>
GradientTuple<T> to_tuple(Gradient<T>&& g, const Plan<T>& plan) {
  return {to_rows(std::move(g.dx), plan.n()),
          to_rows(std::move(g.dy), plan.m()),
          to_vector(std::move(g.da)),
          to_vector(std::move(g.db)),
          g.depsilon,
          g.drho_a,
          g.drho_b};
}

/// A vector inside the bound object `in`, which stays alive with it; of a GPU a copy, as no
/// framework takes an array there that is not to be written.
template <class T, class Object>
Owned<const T, 1> window(const Object& in, const Buffer<T>& buffer) {
  if (buffer.device().is_cuda()) return nb::borrow<Owned<const T, 1>>(to_array(buffer.copy()));
  const nb::ndarray<nb::numpy, const T, nb::ndim<1>> array(
      buffer.data(), {static_cast<std::size_t>(buffer.size())});
  return nb::borrow<Owned<const T, 1>>(
      nb::cast(array, nb::rv_policy::reference_internal, nb::find(in)));
}

/// (rows, columns, values) of lower bounds.
using BoundsSpec =
    std::optional<std::tuple<Vector<std::int64_t>, Vector<std::int64_t>, Vector<double>>>;

inline LowerBounds to_bounds(const BoundsSpec& spec) {
  if (!spec) return {};
  const auto& [rows, columns, values] = *spec;
  return {view(rows), view(columns), view(values)};
}

/// ("balanced", 0), ("kl", rho) or ("tv", lambda).
using MarginalSpec = std::pair<std::string, double>;

inline Marginal to_marginal(const MarginalSpec& spec) {
  if (spec.first == "kl") return KL{spec.second};
  if (spec.first == "tv") return TV{spec.second};
  return Balanced{};
}

/// A lattice of either type: it holds no array.
template <class T>
Lattice<T> to_lattice(const Lattice<double>& lattice) {
  return {lattice.source, lattice.target, lattice.cost, lattice.periodic, lattice.device};
}

inline MarginalSpec from_marginal(const Marginal& marginal) {
  if (const auto* kl = std::get_if<KL>(&marginal)) return {"kl", kl->rho};
  if (const auto* tv = std::get_if<TV>(&marginal)) return {"tv", tv->lambda};
  return {"balanced", 0};
}
}  // namespace monge::python
