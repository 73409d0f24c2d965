#include "monge/core/buffer.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

namespace monge {
namespace {
TEST(Buffer, IsAlignedToCacheLines) {
  for (const std::int64_t size : {1, 3, 64, 1000}) {
    const Buffer<float> buffer(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u) << size;
    EXPECT_EQ(buffer.size(), size);
  }
}

TEST(Buffer, OfManyBytesIsOfWholeHugePages) {
  constexpr std::uintptr_t kHugePage = std::uintptr_t{1} << 21;
  const Buffer<char> buffer(9 * std::int64_t{kHugePage} + 5, 'x');
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % kHugePage, 0U);
  EXPECT_EQ(buffer[buffer.size() - 1], 'x');
}

TEST(Buffer, FillsAndCopies) {
  Buffer<double> buffer(5, 1.5);
  Buffer<double> twin = buffer.copy();
  buffer[2] = 7;
  EXPECT_EQ(twin[2], 1.5);
  EXPECT_EQ(twin.size(), 5);
  EXPECT_EQ(buffer.view()[2], 7);
}

TEST(Buffer, GoesToADeviceAndStaysWhereItIs) {
  Buffer<int> buffer(4, 9);
  const int* const data = buffer.data();
  const Buffer<int> twin = buffer.to(Device{});
  EXPECT_NE(twin.data(), data);
  EXPECT_EQ(twin[3], 9);
  const Buffer<int> same = std::move(buffer).to(Device{});  // given away: nothing is copied
  EXPECT_EQ(same.data(), data);
  EXPECT_EQ(same.device(), Device{});
}

TEST(Buffer, MovesAndLeavesNothingBehind) {
  static_assert(!std::is_copy_constructible_v<Buffer<float>>);
  Buffer<int> first(4, 9);
  const int* const data = first.data();
  Buffer<int> second = std::move(first);
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(first.data(), nullptr);  // NOLINT(bugprone-use-after-move): the state is documented
  EXPECT_EQ(first.size(), 0);
  Buffer<int> third;
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third[3], 9);
}

TEST(Buffer, EmptyHoldsNoMemory) {
  const Buffer<float> none, zero(0);
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_EQ(zero.data(), nullptr);
  EXPECT_EQ(zero.begin(), zero.end());
}

TEST(Buffer, TooMuchIsAnErrorThatSaysHowMuch) {
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  try {
    Buffer<double> buffer(huge);  // its bytes do not fit 64 bits
    FAIL() << "no exception";
  } catch (const OutOfMemory& error) {
    EXPECT_STREQ(error.what(), "[buffer] no memory for 9223372036854775807 values of 8 bytes");
  }
  EXPECT_THROW(Buffer<double>(huge / 16), OutOfMemory);  // bytes fit, no machine has them
}
}  // namespace
}  // namespace monge
