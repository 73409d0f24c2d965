// Drives the fuzz target without libFuzzer: every seed, every truncation of it, then `count`
// mutations, each a pure function of its number.
//   monge_fuzz_readers [COUNT [FIRST [FILE...]]]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "monge/core/random.hpp"
#include "seeds.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {
void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

// Pieces of the formats that single flipped bytes seldom find.
const std::string kPieces[] = {"9223372036854775807",
                               "18446744073709551616",
                               "-1",
                               "(",
                               ")",
                               "'",
                               "\"",
                               ",",
                               "{",
                               "}",
                               "nan",
                               "inf",
                               "1e999",
                               "'|O'",
                               "'<c16'",
                               "'<f2'",
                               "\n",
                               "\r\n",
                               "#",
                               "weight",
                               "\xff\xff\xff\xff",
                               std::string(4, '\0'),
                               "PK\x01\x02",
                               "PK\x05\x06",
                               "True",
                               "0"};

std::string mutated(const std::vector<std::string>& seeds, std::uint64_t number) {
  std::uint64_t draws = 0;
  const auto below = [&](std::size_t bound) {
    return static_cast<std::size_t>(monge::philox_uniform(/*seed=*/20240, number, draws++) *
                                    static_cast<double>(bound));
  };
  std::string out = seeds[below(seeds.size())];
  for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
    const std::size_t at = below(out.size() + 1);
    const std::string& piece = kPieces[below(std::size(kPieces))];
    switch (below(6)) {
      case 0:
        out[std::min(at, out.size() - 1)] ^= static_cast<char>(1 << below(8));
        break;
      case 1:
        out[std::min(at, out.size() - 1)] = static_cast<char>(below(256));
        break;
      case 2:
        out.insert(at, piece);
        break;
      case 3:
        out.replace(at, piece.size(), piece);
        break;
      case 4:
        out.erase(at, 1 + below(16));
        break;
      default:
        out.insert(at, out.substr(below(out.size()), below(64)));
        break;
    }
    if (out.empty()) out.assign(1, '\0');
  }
  return out;
}
}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100000;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  const auto seeds = monge::fuzz::seeds();
  for (const std::string& seed : seeds)
    for (std::size_t size = 0; size <= seed.size(); ++size) run(seed.substr(0, size));
  for (int i = 3; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    run({std::istreambuf_iterator<char>(file), {}});
  }
  for (std::uint64_t number = first; number < first + count; ++number) run(mutated(seeds, number));
  std::printf("%llu mutations of %zu files: no crash\n", static_cast<unsigned long long>(count),
              seeds.size());
}
