// What `solve --out` writes.
#pragma once
#include <cstdint>
#include <vector>

#include "cli/report.hpp"
#include "io/result_directory.hpp"
#include "monge/ot/plan.hpp"

namespace monge::cli {
/// Results beyond the standard ones.
struct Wanted {
  int top_k = 0;           ///< 0: none
  std::int64_t draws = 0;  ///< 0: none
  std::uint64_t seed = 0;
};

/// Of arrays with an entry for each point of a side; and the dimension of the points.
struct Shapes {
  std::vector<std::int64_t> source, target;
  std::int64_t dim;
};

/// Everything or nothing; `result` holds the potentials of the problem that was asked for.
template <class T>
void write_results(io::ResultDirectory& directory, const Plan<T>& plan,
                   const SinkhornResult<T>& result, const Shapes& shapes, const Wanted& wanted,
                   const Json& report, Exec& exec);
}  // namespace monge::cli
