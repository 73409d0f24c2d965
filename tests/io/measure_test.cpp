#include "io/measure.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/npz.hpp"
#include "support.hpp"

namespace monge::io {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace testing;

TEST(MeasureFile, TakesTheWeightColumnOutOfACsv) {
  const Directory directory;
  MeasureFile got = read_measure(directory.write("a.csv", "x,weight,y\n1,10,2\n3,20,4\n"));
  EXPECT_THAT(got.points.shape, ElementsAre(2, 2));
  EXPECT_THAT(list(take<double>(std::move(got.points))), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(list(take<float>(std::move(got.weights.value()))), ElementsAre(10, 20));
}

TEST(MeasureFile, ACsvWithoutHeaderIsAllPoints) {
  const Directory directory;
  const MeasureFile got = read_measure(directory.write("a.CSV", "1,10\n3,20\n"));
  EXPECT_THAT(got.points.shape, ElementsAre(2, 2));
  EXPECT_FALSE(got.weights);
}

TEST(MeasureFile, ViewsFortranOrder) {
  const Directory directory;
  MeasureFile got = read_measure(directory.write(
      "a.npy", npy(dict("<f8", "(2, 3)", "True"), raw<double>({1, 4, 2, 5, 3, 6}))));
  const Buffer<double> values = take<double>(std::move(got.points));
  const auto view = matrix(got.points, values);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j) EXPECT_EQ(view(i, j), 3 * i + j + 1);
}

TEST(MeasureFile, ReadsPointsAndWeightsOfAnArchive) {
  const Directory directory;
  const float points[2] = {1, 2};
  const double weights[2] = {3, 4};
  write_npz(directory / "a.npz", {{"points", {{2, 1}, points}}, {"weights", {{2}, weights}}});
  EXPECT_TRUE(read_measure(directory / "a.npz").points.is_float());
  EXPECT_THAT(list(take<double>(read_weights(directory / "a.npz"))), ElementsAre(3, 4));
  write_npz(directory / "b.npz", {{"x", {{2, 1}, points}}});
  EXPECT_THAT(io_error([&] { read_measure(directory / "b.npz"); }),
              HasSubstr("'points'; it has 'x'"));
}

TEST(MeasureFile, WeightsFromEveryFormat) {
  const Directory directory;
  EXPECT_THAT(list(take<double>(read_weights(directory.write("a.csv", "1\n2\n")))),
              ElementsAre(1, 2));
  EXPECT_THAT(list(take<double>(read_weights(directory.write("b.csv", "x,weight\n1,5\n2,6\n")))),
              ElementsAre(5, 6));
  EXPECT_THAT(doubles(read_weights(
                  directory.write("c.npy", npy(dict("<i4", "(2, 1)"), raw<std::int32_t>({7, 8}))))),
              ElementsAre(7, 8));
  EXPECT_THAT(io_error([&] { read_weights(directory.write("d.csv", "1,2\n")); }),
              HasSubstr("has 2 columns, wanted one, or one named 'weight'"));
}

TEST(MeasureFile, RefusesOtherShapesNamesAndExtensions) {
  const Directory directory;
  const auto points = [&](const char* shape) {
    const auto path = directory.write("a.npy", npy(dict("<f8", shape), std::string(48, '\0')));
    return io_error([&] { read_measure(path); });
  };
  EXPECT_THAT(points("(6,)"), HasSubstr("points of shape (6,), wanted (n, d) with d >= 1: (n, 1)"));
  EXPECT_THAT(points("(1, 2, 3)"), HasSubstr("points of shape (1, 2, 3)"));
  const auto path = directory.write("z.npy", npy(dict("<f8", "(4611686018427387904, 0)"), ""));
  EXPECT_THAT(io_error([&] { read_measure(path); }), HasSubstr("z.npy"));
  EXPECT_THAT(
      io_error([&] {
        read_weights(directory.write("w.npy", npy(dict("<f8", "(1, 2)"), std::string(16, '\0'))));
      }),
      HasSubstr("weights of shape (1, 2), wanted (n,) with n >= 1"));
  EXPECT_THAT(io_error([&] { read_measure(directory.write("b.csv", "x,weight,weight\n1,2,3\n")); }),
              HasSubstr("two columns named 'weight'"));
  EXPECT_THAT(io_error([&] { read_measure(directory.write("c.csv", "x,Weights\n1,2\n")); }),
              HasSubstr("column 2 is named 'Weights', wanted 'weight'"));
  EXPECT_THAT(io_error([&] { read_measure(directory.write("d.csv", "weight\n1\n")); }),
              HasSubstr("points of shape (1, 0)"));
  EXPECT_THAT(io_error([&] { read_measure(directory / "a.txt"); }),
              HasSubstr("extension '.txt', wanted .npy, .npz or .csv"));
  EXPECT_THAT(io_error([&] { read_measure(directory / "none.csv"); }), HasSubstr("No such file"));
}
}  // namespace monge::io
