// One run of the readers on arbitrary bytes: the first chooses the format, the rest is the file.
// Good bytes or an IoError are fine; a crash, another exception or a huge allocation is not.
// Driven by mutations.cpp, or by coverage with clang's libFuzzer:
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Isrc -Iinclude
//     src/format.cpp src/io/{source,npy,npz,zip,csv,atomic_file}.cpp tests/fuzz/readers.cpp -lzip
//     -o fuzz &&
//     ./fuzz
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "io/csv.hpp"
#include "io/npy.hpp"
#include "io/npz.hpp"
#include "io/zip.hpp"
#include "monge/core/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace monge;
  if (size == 0) return 0;
  const std::span bytes(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  try {
    switch (data[0] % 4) {
      case 0: {
        io::MemorySource source("fuzz.npy", bytes);
        io::read_npy(source);
        break;
      }
      case 1: {
        const io::NpzReader archive("fuzz.npz", bytes);
        for (const auto& key : archive.keys()) archive.read(key);
        break;
      }
      case 3: {
        const io::ZipReader archive("fuzz.npz", bytes);
        if (const auto* const entry = archive.find("points.npy"))
          archive.read(*entry, [](io::Source& source) { return io::read_npy(source); });
        break;
      }
      default:
        io::parse_csv("fuzz.csv", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  } catch (const IoError&) {
  }
  return 0;
}
