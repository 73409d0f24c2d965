// Tiles: up to 8 rows by one column block (256 columns), written to an L1-sized buffer. Every verb
// but the hot path of softmin is a loop over tiles, so that cost formulas exist once.
//
// A verb fetches its functions once per call, before it starts threads:
//
//   const auto tiles = tile_functions<T>();
//   const TileArgs<T> args{pairs, h, shift, eps};
//   parallel_for(row blocks ...) {
//     alignas(64) T w[kTileRows * kColumnBlock];
//     for (column block) for (i0 = first row; ...; i0 += kTileRows)   // rows inside: a transposed
//       tiles.weights(args, i0, rows, j0, columns, w);                // matrix is then read once
//   }
//
// Entry (r, t) of a tile, row i0 + r and column j0 + t, stands at [r * kColumnBlock + t]. Buffers
// hold kTileRows * kColumnBlock values, aligned to 64 bytes; entries outside rows x columns are
// not written. 1 <= rows <= kTileRows; full speed where i0 is a multiple of kTileRows and where
// rows = 1. j0 and columns are multiples of kPanel, columns <= kColumnBlock, and
// j0 + columns <= padded(m): the padding has cost 0 on a matrix, some finite cost elsewhere, and
// weight 0 as its h is -inf. Entries do not depend on how rows and columns are tiled.
#pragma once
#include <cstdint>

#include "kernels/pairs.hpp"

namespace monge::cpu {
inline constexpr int kTileRows = 8;

/// Scores in units of `unit`, times k: the exponent of 2. k is rounded to T once, and used
/// everywhere, so that its rounding is a change of eps by at most 2^-24 and not an error that
/// grows with the exponent.
template <class T>
struct Exponent {
  T unit, k;
  Exponent(double eps, T unit)
      : unit(unit), k(static_cast<T>(unit / (eps * 0.69314718055994530942))) {}
  double per_cost() const { return static_cast<double>(k) / unit; }
};

/// Costs that loops compute themselves, by direct differences, and never write to a tile: distances
/// and their powers, squares in the dimensions that have a loop each.
template <class T>
bool is_direct(const kernels::Pairs<T>& p) {
  using kernels::Form;
  return p.form == Form::distance || p.form == Form::power ||
         (p.form == Form::squared && !p.rows.norms && p.rows.dim <= 4);
}

/// Costs that are a matrix product.
template <class T>
bool is_product(const kernels::Pairs<T>& p) {
  return p.form == kernels::Form::dot || (p.form == kernels::Form::squared && p.rows.norms);
}

template <class T>
struct TileArgs {
  kernels::Pairs<T> pairs;
  const T* h = nullptr;      // [padded(m)]
  const T* shift = nullptr;  // [n]
  double eps = 1;
};

template <class T>
struct TileFunctions {
  using Function = void (*)(const TileArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0,
                            int columns, T* out);
  using Weights = void (*)(const TileArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0,
                           int columns, const T* from, T* out);
  /// w_ij = exp((h_j + shift_i - c_ij) / eps): 0 where the row's shift is not finite, where h_j is
  /// -inf and where c_ij is +inf; never NaN for valid inputs.
  Function weights;
  /// c_ij. Uses args.pairs alone.
  Function costs;
  /// h_j - c_ij: -inf where either removes the pair. Uses args.pairs and args.h.
  Function scores;
  /// r_ij with dc/dx(x_i, y_j) = r_ij (x_i - y_j), 0 where the derivative is not unique: squared,
  /// distance and power only. Uses args.pairs alone.
  Function slopes;
  /// The weights from costs or scores that are there already: the same bits as `weights` wherever
  /// that itself goes through costs, within its rounding elsewhere (is_direct). `out` may be
  /// `from`.
  Weights weights_of_costs, weights_of_scores;
};

/// For the current target (target.hpp).
template <class T>
TileFunctions<T> tile_functions();
}  // namespace monge::cpu
