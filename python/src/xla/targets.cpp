#include "xla/targets.hpp"

#include <cstdint>

#include "xla/call.hpp"

namespace monge::python {
namespace {
namespace nb = nanobind;
namespace ffi = ::xla::ffi;
using Verb = ffi::Error (*)(const xla::Call&);

template <Verb verb>
ffi::Error on_host(ffi::RemainingArgs arguments, ffi::RemainingRets results,
                   ffi::Dictionary attributes) {
  return verb({{}, nullptr, arguments, results, xla::Attributes(attributes)});
}
template <Verb verb>
ffi::Error on_cuda(void* stream, std::int32_t index, ffi::RemainingArgs arguments,
                   ffi::RemainingRets results, ffi::Dictionary attributes) {
  return verb({{DeviceKind::cuda, index}, stream, arguments, results, xla::Attributes(attributes)});
}

template <Verb verb>
void add(nb::list& out, const char* name) {
  XLA_FFI_DEFINE_HANDLER(host, on_host<verb>,
                         ffi::Ffi::Bind().RemainingArgs().RemainingRets().Attrs());
  XLA_FFI_DEFINE_HANDLER(cuda, on_cuda<verb>,
                         ffi::Ffi::Bind()
                             .Ctx<ffi::PlatformStream<void*>>()
                             .Ctx<ffi::DeviceOrdinal>()
                             .RemainingArgs()
                             .RemainingRets()
                             .Attrs());
  const auto capsule = [](XLA_FFI_Handler* handler) {
    return nb::capsule(reinterpret_cast<void*>(handler));
  };
  out.append(nb::make_tuple(name, "cpu", capsule(host)));
  out.append(nb::make_tuple(name, "CUDA", capsule(cuda)));
}
}  // namespace

nb::list xla_targets() {
  nb::list out;
  add<xla::transport>(out, "monge_transport");
  add<xla::derivative>(out, "monge_derivative");
  return out;
}
}  // namespace monge::python
