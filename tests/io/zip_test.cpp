#include "io/zip.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/npz.hpp"
#include "support.hpp"

namespace monge::io {
using ::testing::HasSubstr;
using namespace testing;

class Zip : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  // By our writer; values.npy and text.npy.
  Zip() {
    ZipWriter writer(path_, GetParam());
    add(writer, "values", {{3}, values_});
    add(writer, "text", ArrayView(std::string("half_sqeuclidean")));
    writer.commit();
    bytes_ = contents(path_);
  }
  static void add(ZipWriter& writer, const std::string& key, const ArrayView& array) {
    const std::string header = npy_header(array);
    const std::span<const std::byte> parts[] = {
        bytes_of(header), {static_cast<const std::byte*>(array.data), array.bytes()}};
    writer.add(key + ".npy", parts);
  }
  static Array read(const ZipReader& archive, const std::string& key) {
    const auto* const entry = archive.find(key + ".npy");
    if (!entry) throw IoError("[io] no " + key);
    return archive.read(*entry, [](Source& source) { return read_npy(source); });
  }
  static Array read(const std::string& bytes, const std::string& key) {
    return read(ZipReader("a.npz", bytes_of(bytes)), key);
  }

  const Directory directory_;
  const std::string path_ = directory_ / "a.npz";
  const double values_[3] = {1, -2, 0x1p-1074};
  std::string bytes_;
};

TEST_P(Zip, ReadsWhatItWrites) {
  const ZipReader archive(path_);
  EXPECT_THAT(doubles(read(archive, "values")), ::testing::ElementsAre(1, -2, 0x1p-1074));
  const auto* const text = archive.find("text.npy");
  ASSERT_NE(text, nullptr);
  EXPECT_EQ(archive.read(*text, [](Source& source) { return read_npy_text(source); }),
            "half_sqeuclidean");
  EXPECT_EQ(archive.find("other.npy"), nullptr);
  EXPECT_EQ(directory_.entries(), 1u);
}

// Another implementation reads it too, its check sums and its 64-bit sizes.
TEST_P(Zip, LibzipReadsIt) {
  EXPECT_THAT(doubles(NpzReader(path_).read("values")), ::testing::ElementsAre(1, -2, 0x1p-1074));
}

TEST_P(Zip, EveryTruncationIsAnIoError) {
  for (std::size_t size = 0; size < bytes_.size(); ++size)
    EXPECT_THAT(io_error([&] { read(bytes_.substr(0, size), "values"); }), HasSubstr("[io]"))
        << size;
}

// Whatever byte is changed, the numbers come out right or not at all.
TEST_P(Zip, NoDamagedByteGoesUnseen) {
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    std::string bad = bytes_;
    bad[at] ^= 0x10;
    try {
      const ZipReader archive("a.npz", bytes_of(bad));
      EXPECT_THAT(doubles(read(archive, "values")), ::testing::ElementsAre(1, -2, 0x1p-1074)) << at;
    } catch (const IoError&) {
    }
  }
}

TEST_P(Zip, RefusesCompressedEntries) {
  std::string bad = bytes_;
  bad[bad.find("PK\x01\x02") + 10] = 8;
  EXPECT_THAT(io_error([&] { read(bad, "values"); }), HasSubstr("is compressed, wanted stored"));
}

TEST_P(Zip, NamesWhatIsNoFile) {
  EXPECT_THAT(io_error([&] { ZipReader(directory_ / "none.npz"); }), HasSubstr("No such file"));
  EXPECT_THAT(io_error([&] { ZipReader(directory_ / ""); }), HasSubstr("is a directory"));
  EXPECT_THAT(io_error([&] { ZipReader(directory_.write("b.npz", "\x93NUMPY")); }),
              HasSubstr("it has no directory"));
}
INSTANTIATE_TEST_SUITE_P(Widths, Zip, ::testing::Values(ZipWriter::kWide, std::uint64_t{0}));

TEST(Crc32, IsTheOneOfTheStandards) { EXPECT_EQ(crc32(bytes_of("123456789")), 0xcbf43926u); }
}  // namespace monge::io
