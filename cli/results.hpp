// What `solve --out` writes.
#pragma once
#include <cstdint>

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

/// Everything or nothing; `result` holds the potentials of the problem that was asked for, `dim` is
/// that of the points.
template <class T>
void write_results(io::ResultDirectory& directory, const Plan<T>& plan,
                   const SinkhornResult<T>& result, std::int64_t dim, const Wanted& wanted,
                   const Json& report, Exec& exec);
}  // namespace monge::cli
