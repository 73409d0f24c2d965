// The core's exceptions as the classes of monge/_errors.py.
#include "monge/core/error.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <new>

#include "bindings.hpp"

namespace monge::python {
namespace nb = nanobind;
namespace {
template <class... Args>
void raise(const char* name, const Args&... args) {
  const nb::object type = nb::module_::import_("monge._errors").attr(name);
  PyErr_SetObject(type.ptr(), type(args...).ptr());
}

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const InvalidArgument& e) {
    const auto name = e.argument().empty() ? nb::object(nb::none()) : nb::cast(e.argument());
    raise("InvalidArgument", e.what(), name, e.index());
  } catch (const NotAvailable& e) {
    raise("NotAvailable", e.what());
  } catch (const DeviceError& e) {
    raise("DeviceError", e.what());
  } catch (const IoError& e) {
    raise("IoError", e.what());
  } catch (const OutOfMemory& e) {
    raise("OutOfMemory", e.what());
  } catch (const std::bad_alloc&) {
    raise("OutOfMemory", "[core] no memory for the arrays of this call");
  } catch (const Error& e) {
    raise("Error", e.what());
  }
}
}  // namespace

void bind_error(nb::module_&) { nb::register_exception_translator(translate); }
}  // namespace monge::python
