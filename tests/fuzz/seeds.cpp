#include "seeds.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "io/npy.hpp"
#include "io/npz.hpp"

namespace monge::fuzz {
namespace {
constexpr char kNpy = 0, kNpz = 1, kCsv = 2, kZip = 3;

std::string npy(int version, const std::string& dict, std::size_t bytes) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    out += static_cast<char>(dict.size() >> 8 * i & 0xff);
  out += dict;
  for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(37 * i);
  return kNpy + out;
}

std::string npz(char reader) {
  const auto path =
      std::filesystem::temp_directory_path() / ("monge_fuzz_" + std::to_string(getpid()) + ".npz");
  const double points[6] = {1, 2, 3, 4, 5, 6};
  const float weights[3] = {1, 2, 3};
  io::write_npz(path.string(), {{"points", {{3, 2}, points}}, {"weights", {{3}, weights}}});
  std::ifstream file(path, std::ios::binary);
  std::string out{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(path);
  return reader + out;
}
}  // namespace

std::vector<std::string> seeds() {
  return {
      npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }\n", 48),
      npy(2, "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 5), }\n", 40),
      npy(3, "{\"shape\": (7,), \"descr\": \"|u1\", \"fortran_order\": False}", 7),
      npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }", 8),
      npy(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (0, 4), }", 0),
      npy(1, "{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (1,), }", 8),
      npz(kNpz),
      npz(kZip),
      kCsv + std::string("x,y,weight\n0.5,1,2\n-1e-3,+4,0\n"),
      kCsv + std::string(
                 "\xEF\xBB\xBF# made by hand\r\n\"x\",\"a \"\"b\"\"\"\r\n\"1\", 2 \r\n3,4\r\n"),
  };
}
}  // namespace monge::fuzz
