#include <span>

#include "io/npz.hpp"
#include "io/zip.hpp"

namespace monge::io {
void write_npz(const std::string& path, const std::vector<NamedArray>& arrays) {
  ZipWriter archive(path);
  for (const auto& [key, array] : arrays) {
    const std::string header = npy_header(array);
    const std::span<const std::byte> parts[] = {
        std::as_bytes(std::span(header)),
        {static_cast<const std::byte*>(array.data), array.bytes()}};
    archive.add(key + ".npy", parts);
  }
  archive.commit();
}
}  // namespace monge::io
