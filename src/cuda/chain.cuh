// Chains: what one fiber launches in a row, each launch of few blocks, goes to the device as one.
// A cluster of thread blocks runs the links in order, every block of a link before the next begins,
// and the chains of many fibers are one launch. On Hopper, which has clusters.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "cuda/tape.cuh"

namespace monge::cuda {
/// A launch as it stands in memory, followed by the arguments of its kernel.
struct Link {
  std::uint16_t kernel, words, next_words;  // of 8 bytes, with this head; of the link that follows
  std::uint16_t blocks;
  unsigned width, height;
};
struct ChainRow {
  const unsigned long long* links;
  unsigned count, first_words;
};

/// Kernels that may be links of one chain, and the thread blocks of its cluster.
struct Chain {
  int list;
  unsigned cluster;
};

/// Thread blocks of a link at most: the cluster, of 8 at most, goes over them.
inline constexpr unsigned kMostLinkBlocks = 16;

/// The kernel's place in a list; -1: it is not there.
int link_of(int list, const Kernel& kernel);
inline constexpr int kLinkLists = 2;

/// The kind of chain whose links have so many blocks at most.
const Chain* chain_of(int list, unsigned most_blocks);

void launch_chains(const Chain& chain, const ChainRow* rows, unsigned count, cudaStream_t stream);
}  // namespace monge::cuda
