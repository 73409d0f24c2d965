#include "io/npz.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace monge::io {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace testing;

class Npz : public ::testing::Test {
 protected:
  Npz() {
    write_npz(path_, {{"points", {{2, 2}, points_}}, {"weights", {{2}, weights_}}});
    bytes_ = contents(path_);
  }
  Array read(const std::string& bytes, const std::string& key) {
    return NpzReader("a.npz", bytes_of(bytes)).read(key);
  }

  const Directory directory_;
  const std::string path_ = directory_ / "a.npz";
  const double points_[4] = {1, 2, 3, 4};
  const float weights_[2] = {0.25f, 0.75f};
  std::string bytes_;
};

TEST_F(Npz, WritesWhatItReads) {
  const NpzReader archive(path_);
  EXPECT_THAT(archive.keys(), ElementsAre("points", "weights"));
  const Array points = archive.read("points"), weights = archive.read("weights");
  EXPECT_THAT(points.shape, ElementsAre(2, 2));
  EXPECT_THAT(list(std::get<Buffer<double>>(points.values)), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(list(std::get<Buffer<float>>(weights.values)), ElementsAre(0.25f, 0.75f));
  EXPECT_EQ(directory_.entries(), 1u);
}

TEST_F(Npz, SameArraysSameBytes) {
  write_npz(directory_ / "b.npz", {{"points", {{2, 2}, points_}}, {"weights", {{2}, weights_}}});
  EXPECT_EQ(contents(directory_ / "b.npz"), bytes_);
}

TEST_F(Npz, NamesTheKeysThereAre) {
  EXPECT_THAT(io_error([&] { read(bytes_, "mass"); }),
              HasSubstr("[io] a.npz has no array 'mass'; it has 'points', 'weights'"));
}

TEST_F(Npz, EveryTruncationIsAnIoError) {
  for (std::size_t size = 0; size < bytes_.size(); ++size)
    EXPECT_THAT(io_error([&] { read(bytes_.substr(0, size), "points"); }), HasSubstr("a.npz"))
        << size;
}

TEST_F(Npz, ChecksTheCheckSum) {
  std::string bad = bytes_;
  bad[bad.find("weights.npy") - 40] ^= 1;  // the data of `points` end before the next local header
  EXPECT_THAT(io_error([&] { read(bad, "points"); }), HasSubstr("a.npz[points]"));
}

TEST_F(Npz, RefusesSizesThatCannotBe) {
  // The central directory's uncompressed size of the first entry, 24 bytes after its signature.
  std::string bad = bytes_;
  const std::size_t at = bad.find("PK\x01\x02") + 24;
  bad.replace(at, 4, "\xff\xff\xff\x7f");
  EXPECT_THAT(io_error([&] { read(bad, "points"); }), HasSubstr("more than its archive can hold"));
}

TEST_F(Npz, MissingFilesDirectoriesAndOtherFiles) {
  EXPECT_THAT(io_error([&] { NpzReader(directory_ / "none.npz"); }), HasSubstr("No such file"));
  EXPECT_THAT(io_error([&] { NpzReader(directory_ / ""); }), HasSubstr("is a directory"));
  EXPECT_THAT(io_error([&] { NpzReader(directory_.write("c.npz", "\x93NUMPY")); }),
              HasSubstr("c.npz is not an npz file"));
  EXPECT_THAT(io_error([&] {
                write_npz(directory_ / "none/a.npz", {{"f", {{2}, weights_}}});
              }),
              HasSubstr("cannot write"));
}
}  // namespace monge::io
