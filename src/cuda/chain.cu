#include "cuda/chain.cuh"

#include <cooperative_groups.h>

#include <algorithm>
#include <iterator>
#include <tuple>

#include "cuda/copy.cuh"
#include "cuda/each.cuh"
#include "cuda/measure.cuh"
#include "cuda/softmin_short.cuh"
#include "cuda/softmin_tile.cuh"
#include "kernels/entries.hpp"

namespace monge::cuda {
namespace {
using Word = unsigned long long;
constexpr int kThreads = 256;
constexpr unsigned kHeadWords = sizeof(Link) / sizeof(Word);
static_assert(kHeadWords * sizeof(Word) == sizeof(Link));

template <class... K>
struct Links {
  static constexpr const char* kTags[] = {&kTag<K>...};
  static_assert(((K::kThreads == kThreads) && ...));
  static_assert(((sizeof(Link) + sizeof(K) <= kThreads * sizeof(Word)) && ...));
  static_assert(((alignof(K) <= alignof(Word) || alignof(K) == 16) && ...));

  __device__ static void run(const Link& link, const void* args, const Block& at) {
    unsigned k = 0;
    ((k++ == link.kernel ? (*static_cast<const K*>(args))(at) : void()), ...);
  }
};

using namespace kernels;        // NOLINT(google-build-using-namespace): the bodies,
using namespace kernels::cuda;  // NOLINT(google-build-using-namespace): their kernels

/// What the solves of few points are made of, from the start to the results.
template <class T, class... More>
using SolveLinks =
    Links<tiles::ShortSoftmin<T, T, false>, tiles::ShortSoftmin<T, T, true>,
          tiles::TileSoftmin<T, T, false>, tiles::TileSoftmin<T, T, true>,
          tiles::TileLargest<T, false>, tiles::TileLargest<T, true>, MeasureOne<T>, Step<T>,
          Sum<MovedArgs<T>, Sums<kHistory>>, Each<MixArgs>, Each<BiasArgs<double>>,
          Each<LogWeightArgs<T>>, Each<FillArgs<double>>, Each<FeasibleArgs<T>>,
          Each<ZeroWeightArgs<T>>, Each<SplitArgs<T>>, CopyBytes, More...>;
using Lists =
    std::tuple<SolveLinks<float>, SolveLinks<double, tiles::ShortSoftmin<double, float, false>,
                                             tiles::TileSoftmin<double, float, false>,
                                             tiles::TileSoftmin<double, float, true>>>;
static_assert(std::tuple_size_v<Lists> == kLinkLists);

// One word of a link to a thread: the next is on its way while this one runs.
template <class List>
__global__ void __launch_bounds__(kThreads, 2) chain_kernel(const ChainRow* rows) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  __shared__ __align__(16) Word words[kThreads];
  const auto cluster = cooperative_groups::this_cluster();
  const unsigned blocks = cluster.num_blocks(), own = cluster.block_rank();
  const ChainRow row = rows[blockIdx.x / blocks];
  const Word* links = row.links;
  Word word = threadIdx.x < row.first_words ? links[threadIdx.x] : 0;
  for (unsigned left = row.count; left > 0; --left) {
    words[threadIdx.x] = word;
    __syncthreads();
    const Link link = *reinterpret_cast<const Link*>(words);
    links += link.words;
    if (threadIdx.x < link.next_words) word = links[threadIdx.x];
    for (unsigned b = own; b < link.blocks; b += blocks) {
      const unsigned x = b % link.width, rest = b / link.width;
      List::run(link, words + kHeadWords, {x, rest % link.height, rest / link.height, link.width});
      __syncthreads();
    }
    cluster.sync();
  }
#endif
}

template <class List>
int place_in(const char* tag) {
  const auto& all = List::kTags;
  const auto found = std::find(std::begin(all), std::end(all), tag);
  return found == std::end(all) ? -1 : static_cast<int>(found - std::begin(all));
}

/// call(of the list's type)
template <class Call>
auto with_list(int list, const Call& call) {
  return list == 0 ? call(std::tuple_element_t<0, Lists>{})
                   : call(std::tuple_element_t<1, Lists>{});
}
}  // namespace

int link_of(int list, const Kernel& kernel) {
  return with_list(list, [&]<class List>(List) { return place_in<List>(kernel.tag); });
}

const Chain* chain_of(int list, unsigned most_blocks) {
  static constexpr Chain kAll[kLinkLists][4] = {{{0, 1}, {0, 2}, {0, 4}, {0, 8}},
                                                {{1, 1}, {1, 2}, {1, 4}, {1, 8}}};
  int k = 0;
  while (k < 3 && kAll[list][k].cluster < most_blocks) ++k;
  return &kAll[list][k];
}

void launch_chains(const Chain& chain, const ChainRow* rows, unsigned count, cudaStream_t stream) {
  launch_count().fetch_add(1, std::memory_order_relaxed);
  cudaLaunchAttribute attributes[2]{};
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim = {chain.cluster, 1, 1};
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(count * chain.cluster);
  config.blockDim = dim3(kThreads);
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = 2;
  with_list(chain.list, [&]<class List>(List) {
    check(cudaLaunchKernelEx(&config, chain_kernel<List>, rows), "launch");
  });
}
}  // namespace monge::cuda
