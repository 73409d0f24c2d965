#include "monge/core/view.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <type_traits>
#include <vector>

namespace monge {
namespace {
TEST(VectorView, StridesCountElements) {
  std::vector<double> data(10);
  std::iota(data.begin(), data.end(), 0);
  const VectorView<double> all(data.data(), 10), even(data.data(), 5, 2), back(&data[9], 10, -1);
  EXPECT_EQ(all[3], 3);
  EXPECT_EQ(even[3], 6);
  EXPECT_EQ(back[3], 6);
  even[2] = -1;
  EXPECT_EQ(data[4], -1);
}

TEST(VectorView, ConvertsToConstAndNotBack) {
  float value = 2;
  const VectorView<float> view(&value, 1, 3, Device{DeviceKind::cuda, 1});
  const VectorView<const float> constant = view;
  EXPECT_EQ(constant.data, &value);
  EXPECT_EQ(constant.stride, 3);
  EXPECT_EQ(constant.device, view.device);
  static_assert(!std::is_convertible_v<VectorView<const float>, VectorView<float>>);
  static_assert(!std::is_convertible_v<VectorView<double>, VectorView<const float>>);
}

TEST(MatrixView, RowMajorByDefaultAndTransposable) {
  std::vector<int> data(6);
  std::iota(data.begin(), data.end(), 0);
  const MatrixView<int> matrix(data.data(), 2, 3);
  EXPECT_EQ(matrix(1, 2), 5);
  const MatrixView<const int> transposed = matrix.transposed();
  EXPECT_EQ(transposed.rows, 3);
  EXPECT_EQ(transposed.cols, 2);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j) EXPECT_EQ(&transposed(j, i), &matrix(i, j));
}

TEST(MatrixView, EmptyByDefault) {
  const MatrixView<float> none;
  EXPECT_EQ(none.data, nullptr);
  EXPECT_EQ(none.rows, 0);
  EXPECT_EQ(none.device, Device{});
}

TEST(Device, Names) {
  EXPECT_EQ(to_string(Device{}), "cpu");
  EXPECT_EQ(to_string(Device{DeviceKind::cuda, 3}), "cuda:3");
  for (const Device device : {Device{}, Device{DeviceKind::cuda, 12}})
    EXPECT_EQ(parse_device(to_string(device)), device);
  EXPECT_EQ(parse_device("cuda"), (Device{DeviceKind::cuda, 0}));
  for (const char* name : {"", "gpu", "cuda:", "cuda:-1", "cuda:1x", "cuda:99999", "CPU"})
    EXPECT_THROW(parse_device(name), InvalidArgument) << name;
}
}  // namespace
}  // namespace monge
