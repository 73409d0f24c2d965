#include "cuda/tape.cuh"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <utility>

#include "cuda/current.cuh"
#include "cuda/deck.cuh"
#include "kernels/memory.hpp"
#include "kernels/poll.hpp"

namespace monge::cuda {
namespace {
constexpr std::int64_t kUnit = 256;  // bytes that a block is aligned to
constexpr std::int64_t kDeviceSlab = std::int64_t{8} << 20, kPinnedSlab = std::int64_t{1} << 20;
constexpr std::int64_t kChunkBytes = std::int64_t{4} << 20;
constexpr std::size_t kWord = 8;         // bytes that a link is counted in
constexpr std::size_t kMostChunks = 16;  // on their way at a time
constexpr double kMostWork = 1e12;       // multiply-adds without a wait: some 0.1 s

std::size_t aligned(std::size_t bytes) { return (bytes + 15) / 16 * 16; }
std::size_t blocks_of(const dim3& grid) { return std::size_t{grid.x} * grid.y * grid.z; }

/// The slabs that decks have made. One outlives its deck where somebody holds a block of it.
struct KeptSlab {
  std::int64_t bytes;
  Device device;
  bool has_deck = true;
  std::int64_t holders = 0;  // with a deck: less what others than its tapes gave back
};
struct KeptSlabs {
  std::mutex mutex;
  std::map<std::byte*, KeptSlab> all;
};
KeptSlabs& kept_slabs() {
  static KeptSlabs kept;
  return kept;
}
}  // namespace

bool release_block(void* block) {
  auto* data = static_cast<std::byte*>(block);
  Device device;
  {
    auto& [mutex, all] = kept_slabs();
    const std::lock_guard lock(mutex);
    auto slab = all.upper_bound(data);
    if (slab == all.begin() || data >= (--slab)->first + slab->second.bytes) return false;
    if (--slab->second.holders > 0 || slab->second.has_deck) return true;
    data = slab->first;
    device = slab->second.device;
    all.erase(slab);
  }
  deallocate_now(data, device);
  return true;
}

// Units of kUnit in steps of a sixteenth of a power of 2.
int Heap::size_class(std::int64_t bytes) {
  const auto last = static_cast<std::uint64_t>(std::max<std::int64_t>(1, bytes) - 1) / kUnit;
  const int shift = std::max(0, static_cast<int>(std::bit_width(last)) - 4);
  return shift * 16 + static_cast<int>(last >> shift);
}

Tape::Memory Heap::take(int size_class) {
  const auto at = static_cast<std::size_t>(size_class);
  if (at < spare_.size() && !spare_[at].empty()) {
    const Memory memory = spare_[at].back();
    spare_[at].pop_back();
    retake(memory);
    return memory;
  }
  const std::int64_t bytes = ((std::int64_t{size_class % 16} + 1) << size_class / 16) * kUnit;
  auto slab = std::find_if(slabs_.rbegin(), slabs_.rend(),
                           [&](const Slab& s) { return s.bytes - s.used >= bytes; });
  if (slab == slabs_.rend()) {
    const std::int64_t whole = std::max(bytes, slab_bytes_);
    slabs_.push_back({make_slab_(whole), whole});
    slab = slabs_.rbegin();
  }
  void* const data = slab->data + std::exchange(slab->used, slab->used + bytes);
  ++slab->out;
  return {data, size_class, static_cast<int>(slabs_.rend() - slab) - 1};
}

void Heap::put_back(const Memory& memory) {
  const auto at = static_cast<std::size_t>(memory.size_class);
  if (at >= spare_.size()) spare_.resize(at + 1);
  spare_[at].push_back(memory);
}

void Tape::record(const Kernel& kernel, const void* args, dim3 grid, std::size_t shared,
                  cudaStream_t stream) {
  deck_.join(stream);
  launches_.push_back({&kernel, args_.size(), grid, shared});
  const auto* const bytes = static_cast<const std::byte*>(args);
  args_.insert(args_.end(), bytes, bytes + kernel.args_bytes);
}

void Tape::settle(bool wait) {
  if (wait || !launches_.empty()) kernels::park(wait);
}

cudaStream_t Tape::stream(cudaStream_t own) {
  deck_.join(own);
  settle(false);
  return deck_.stream_;
}

void Tape::pace(double work) {
  if ((deck_.work_ += work) > kMostWork) settle(true);
}

Tape::Memory Tape::take(std::int64_t bytes) {
  const int wanted = Heap::size_class(bytes);
  for (std::size_t i = free_.size(); i-- > 0;)
    if (free_[i].size_class == wanted) {
      const Memory memory = free_[i];
      free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(i));
      deck_.device_.retake(memory);
      return memory;
    }
  return deck_.device_.take(wanted);
}

void Tape::put_back(const Memory& memory) {
  deck_.device_.free(memory);
  free_.push_back(memory);
}

void* Tape::allocate(std::int64_t bytes) {
  if (bytes > kDeviceSlab) return allocate_now(bytes, deck_.exec_.device);
  const Memory memory = take(bytes);
  deck_.held_[memory.data] = memory;
  return memory.data;
}

void Tape::release(void* data) {
  const auto held = deck_.held_.find(data);
  if (held == deck_.held_.end()) return deck_.later_.push_back(data);
  put_back(held->second);
  deck_.held_.erase(held);
}

Tape::Memory Tape::pin(std::int64_t bytes) { return deck_.pinned_.take(Heap::size_class(bytes)); }
void Tape::unpin(const Memory& memory) { deck_.pinned_.put_back(memory); }
void Tape::unpin_later(const Memory& memory) { deck_.unpinned_.push_back(memory); }

Deck::Deck(Exec& exec)
    : exec_(exec),
      stream_(static_cast<cudaStream_t>(exec.stream)),
      device_(kDeviceSlab,
              [device = exec.device](std::int64_t bytes) {
                auto* const data = static_cast<std::byte*>(allocate_now(bytes, device));
                const std::lock_guard lock(kept_slabs().mutex);
                kept_slabs().all[data] = {bytes, device};
                return data;
              }),
      pinned_(kPinnedSlab, [this](std::int64_t bytes) {
        return static_cast<std::byte*>(pinned_slabs_.emplace_back(bytes).data());
      }) {}

Deck::~Deck() {
  const Current current(exec_);
  cudaStreamSynchronize(stream_);
  for (void* const data : later_) kernels::cuda::deallocate(data, exec_.device);
  for (const Heap::Slab& slab : device_.slabs()) {
    {
      const std::lock_guard lock(kept_slabs().mutex);
      KeptSlab& kept = kept_slabs().all.at(slab.data);
      kept.has_deck = false;
      kept.holders += slab.out;
      if (kept.holders > 0) continue;
      kept_slabs().all.erase(slab.data);
    }
    deallocate_now(slab.data, exec_.device);
  }
}

std::unique_ptr<kernels::FiberState> Deck::begin() {
  std::unique_ptr<Tape> tape;
  if (spare_.empty()) {
    tape = std::make_unique<Tape>(*this);
  } else {
    tape = std::move(spare_.back());
    spare_.pop_back();
  }
  live_.push_back(tape.get());
  return tape;
}

void Deck::end(std::unique_ptr<kernels::FiberState> state) {
  std::unique_ptr<Tape> tape(static_cast<Tape*>(state.release()));
  live_.erase(std::find(live_.begin(), live_.end(), tape.get()));
  ended_.push_back(std::move(tape));
}

void Deck::flush() {
  const Current current(exec_);
  for (const auto& tape : ended_) queue({tape.get()});
  for (Tape* const tape : live_) queue({tape});
  const auto by_size = [](const Queue& a, const Queue& b) {
    return a.fronts.size() < b.fronts.size();
  };
  for (;;) {  // the kernel that most come to next
    const auto most = std::max_element(queues_.begin(), queues_.end(), by_size);
    if (most == queues_.end() || most->fronts.empty()) break;
    deal(*most);
  }
  submit();
  work_ = 0;
  const auto clear = [](Tape& tape) {
    tape.launches_.clear();
    tape.args_.clear();
  };
  for (Tape* const tape : live_) clear(*tape);
  for (auto& tape : ended_) {
    clear(*tape);
    for (const Tape::Memory& memory : tape->free_) device_.put_back(memory);
    tape->free_.clear();
    spare_.push_back(std::move(tape));
  }
  ended_.clear();
}

void Deck::wait() {
  {
    const Current current(exec_);
    check(cudaStreamSynchronize(stream_), "batch");
    chunks_used_ = 0;
    for (const Tape::Memory& memory : unpinned_) pinned_.put_back(memory);
    unpinned_.clear();
    for (void* const data : std::exchange(later_, {}))
      kernels::cuda::deallocate(data, exec_.device);
  }
  kernels::poll(exec_, 0);
}

void Deck::join(cudaStream_t other) {
  if (other == stream_ || std::find(joined_.begin(), joined_.end(), other) != joined_.end()) return;
  joined_.push_back(other);
  cudaEvent_t event;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
  check(cudaEventRecord(event, other), "event");
  check(cudaStreamWaitEvent(stream_, event, 0), "event");
  check(cudaEventDestroy(event), "event");
}

void Deck::queue(Front front) {
  if (front.next == front.tape->launches_.size()) return;
  const Chain* const chain = begin_chain(front);
  const Kernel* const kernel = chain ? nullptr : front.launch().kernel;
  auto queue = queues_.begin();
  while (queue != queues_.end() && (queue->kernel != kernel || queue->chain != chain)) ++queue;
  if (queue == queues_.end()) queue = queues_.insert(queue, Queue{kernel, chain});
  queue->fronts.push_back(front);
}

/// The longest that begins there, of two links at least; null: none.
const Chain* Deck::begin_chain(Front& front) const {
  const auto& launches = front.tape->launches_;
  const Chain* chain = nullptr;
  front.count = 1;
  for (int list = 0; list < kLinkLists && chains_; ++list) {
    std::size_t end = front.next, most = 0;
    for (; end < launches.size(); ++end) {
      const Tape::Launch& launch = launches[end];
      if (launch.shared > 0 || blocks_of(launch.grid) > kMostLinkBlocks ||
          link_of(list, *launch.kernel) < 0)
        break;
      most = std::max(most, blocks_of(launch.grid));
    }
    if (end - front.next <= front.count) continue;
    front.count = end - front.next;
    chain = chain_of(list, static_cast<unsigned>(most));
  }
  return chain;
}

/// With room for `bytes`, or the most that there ever is.
Deck::Chunk& Deck::chunk(std::size_t bytes) {
  if (chunks_used_ > 0) {
    Chunk& last = chunks_[chunks_used_ - 1];
    if (last.used + std::min<std::size_t>(bytes, kChunkBytes / 4) <= kChunkBytes) return last;
    submit();
  }
  if (chunks_used_ == kMostChunks) {
    check(cudaStreamSynchronize(stream_), "batch");
    chunks_used_ = 0;
  }
  if (chunks_used_ == chunks_.size()) chunks_.emplace_back(kChunkBytes, exec_.device);
  Chunk& next = chunks_[chunks_used_++];
  next.used = next.sent = 0;
  return next;
}

// Launches a kernel for those that come to it, as many as have room in a chunk.
void Deck::deal(Queue& from) {
  dealt_.clear();
  std::swap(dealt_, from.fronts);
  if (from.chain) return deal_chains(*from.chain);
  const Kernel& kernel = *from.kernel;
  const auto bytes = [&](std::size_t rows, std::size_t blocks) {
    return aligned(rows * kernel.row_bytes) + blocks * sizeof(TableItem);
  };
  std::size_t blocks = 0, shared = 0, rows = 0;
  for (const Front& front : dealt_) blocks += blocks_of(front.launch().grid);
  Chunk* const to = dealt_.size() > 1 ? &chunk(bytes(dealt_.size(), blocks)) : nullptr;
  for (blocks = 0; rows < dealt_.size(); ++rows) {
    const Tape::Launch& launch = dealt_[rows].launch();
    const std::size_t more = blocks + blocks_of(launch.grid);
    if (rows > 0 && to->used + bytes(rows + 1, more) > kChunkBytes) break;
    blocks = more;
    shared = std::max(shared, launch.shared);
  }
  for (std::size_t left = rows; left < dealt_.size(); ++left) queue(dealt_[left]);
  dealt_.resize(rows);
  const auto next_of = [&](const Front& front) { queue({front.tape, front.next + 1}); };
  if (rows == 1) {
    const Tape::Launch& launch = dealt_[0].launch();
    deals_.push_back(
        {&kernel, dealt_[0].tape->args_.data() + launch.args, nullptr, launch.grid, launch.shared});
    return next_of(dealt_[0]);
  }
  std::byte* row = static_cast<std::byte*>(to->host.data()) + to->used;
  auto* item = reinterpret_cast<TableItem*>(row + aligned(rows * kernel.row_bytes));
  const std::byte* const on_device = to->device.data() + to->used;
  deals_.push_back(
      {&kernel, on_device,
       reinterpret_cast<const TableItem*>(on_device + aligned(rows * kernel.row_bytes)),
       dim3(static_cast<unsigned>(blocks)), shared});
  to->used = aligned(to->used + bytes(rows, blocks));
  for (unsigned r = 0; r < rows; ++r, row += kernel.row_bytes) {
    const Tape::Launch& launch = dealt_[r].launch();
    const unsigned size[] = {launch.grid.x, launch.grid.y};
    std::memcpy(row, size, sizeof size);
    std::memcpy(row + kernel.args_at, dealt_[r].tape->args_.data() + launch.args,
                kernel.args_bytes);
    const auto count = static_cast<unsigned>(blocks_of(launch.grid));
    for (unsigned block = 0; block < count; ++block) *item++ = {r, block};
    next_of(dealt_[r]);
  }
}

// The rows, then what the links of each are. A tape may have more than a chunk: the rest is another
// chain.
void Deck::deal_chains(const Chain& chain) {
  const auto bytes_of = [](const Tape::Launch& launch) {
    return sizeof(Link) + aligned(launch.kernel->args_bytes);
  };
  std::size_t wanted = 0, taken = 0, rows = 0;
  for (const Front& front : dealt_) {
    wanted += sizeof(ChainRow);
    for (std::size_t l = 0; l < front.count; ++l) wanted += bytes_of(front.launch(l));
  }
  Chunk& to = chunk(wanted);
  const std::size_t room = kChunkBytes - to.used - aligned(dealt_.size() * sizeof(ChainRow));
  for (bool full = false; rows < dealt_.size() && !full; ++rows) {
    Front& front = dealt_[rows];
    std::size_t links = 0;
    for (; links < front.count && !full; ++links) {
      const std::size_t more = bytes_of(front.launch(links));
      full = taken + more > room;
      if (full) break;
      taken += more;
    }
    front.count = links;
    if (links == 0) break;
  }
  for (std::size_t left = rows; left < dealt_.size(); ++left) queue(dealt_[left]);
  dealt_.resize(rows);
  auto* row = reinterpret_cast<ChainRow*>(static_cast<std::byte*>(to.host.data()) + to.used);
  const std::size_t links_at = to.used + aligned(rows * sizeof(ChainRow));
  deals_.push_back(
      {nullptr, to.device.data() + to.used, nullptr, dim3(static_cast<unsigned>(rows)), 0, &chain});
  to.used = links_at;
  for (Front& front : dealt_) {
    *row++ = {reinterpret_cast<const unsigned long long*>(to.device.data() + to.used),
              static_cast<unsigned>(front.count),
              static_cast<unsigned>(bytes_of(front.launch()) / kWord)};
    for (std::size_t l = 0; l < front.count; ++l) {
      const Tape::Launch& launch = front.launch(l);
      const bool last = l + 1 == front.count;
      const Link link{static_cast<std::uint16_t>(link_of(chain.list, *launch.kernel)),
                      static_cast<std::uint16_t>(bytes_of(launch) / kWord),
                      static_cast<std::uint16_t>(last ? 0 : bytes_of(front.launch(l + 1)) / kWord),
                      static_cast<std::uint16_t>(blocks_of(launch.grid)),
                      launch.grid.x,
                      launch.grid.y};
      std::byte* const at = static_cast<std::byte*>(to.host.data()) + to.used;
      std::memcpy(at, &link, sizeof link);
      std::memcpy(at + sizeof link, front.tape->args_.data() + launch.args,
                  launch.kernel->args_bytes);
      to.used += bytes_of(launch);
    }
    queue({front.tape, front.next + front.count});
  }
}

// Copies the tables, then launches.
void Deck::submit() {
  if (chunks_used_ > 0) {
    Chunk& last = chunks_[chunks_used_ - 1];
    if (last.used > last.sent)
      check(cudaMemcpyAsync(last.device.data() + last.sent,
                            static_cast<std::byte*>(last.host.data()) + last.sent,
                            last.used - last.sent, cudaMemcpyHostToDevice, stream_),
            "tables");
    last.sent = last.used;
  }
  for (const Deal& deal : deals_) {
    if (deal.chain)
      launch_chains(*deal.chain, static_cast<const ChainRow*>(deal.rows), deal.grid.x, stream_);
    else if (deal.items)
      deal.kernel->many(deal.rows, deal.items, deal.grid.x, deal.shared, stream_);
    else
      deal.kernel->one(deal.rows, deal.grid, deal.shared, stream_);
  }
  deals_.clear();
}
}  // namespace monge::cuda
