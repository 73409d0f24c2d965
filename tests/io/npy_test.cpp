#include "io/npy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support.hpp"

namespace monge::io {
using ::testing::HasSubstr;
using namespace testing;
using Shape = std::vector<std::int64_t>;

TEST(Npy, ReadsEveryVersion) {
  for (const int version : {1, 2, 3}) {
    const Array got = read(npy(dict("<f8", "(3, 1)"), raw<double>({1, -2, 0.5}), version));
    EXPECT_EQ(got.shape, (Shape{3, 1}));
    EXPECT_EQ(doubles(got), (std::vector<double>{1, -2, 0.5}));
  }
}

TEST(Npy, KeepsFloatAndWidensAllElse) {
  EXPECT_TRUE(read(npy(dict("<f4", "(1,)"), raw<float>({3}))).is_float());
  const auto check = [](const std::string& descr, const std::string& data, const std::string& name,
                        std::vector<double> want) {
    const Array got = read(npy(dict(descr, "(2,)"), data));
    EXPECT_FALSE(got.is_float());
    EXPECT_EQ(got.stored, name);
    EXPECT_EQ(doubles(got), want) << name;
  };
  check("|b1", raw<std::uint8_t>({0, 2}), "bool", {0, 1});
  check("|i1", raw<std::int8_t>({-128, 127}), "int8", {-128, 127});
  check("|u1", raw<std::uint8_t>({0, 255}), "uint8", {0, 255});
  check("<i2", raw<std::int16_t>({-32768, 7}), "int16", {-32768, 7});
  check("<u2", raw<std::uint16_t>({65535, 7}), "uint16", {65535, 7});
  check("<i4", raw<std::int32_t>({-5, 1 << 30}), "int32", {-5, 1 << 30});
  check("<u4", raw<std::uint32_t>({4294967295u, 7}), "uint32", {4294967295., 7});
  check("<i8", raw<std::int64_t>({-5, 1ll << 52}), "int64", {-5, 0x1p52});
  check("<u8", raw<std::uint64_t>({~0ull, 7}), "uint64", {0x1p64, 7});
  check("=f8", raw<double>({-0.0, 1e300}), "float64", {-0.0, 1e300});
}

TEST(Npy, SwapsBigEndian) {
  std::string data = raw<double>({1.25});
  std::reverse(data.begin(), data.end());
  EXPECT_EQ(doubles(read(npy(dict(">f8", "(1,)"), data))), std::vector<double>{1.25});
  EXPECT_EQ(doubles(read(npy(dict(">i2", "(1,)"), std::string("\x01\x02", 2)))),
            std::vector<double>{258});
  const Array f4 = read(npy(dict(">f4", "(1,)"), std::string("\x40\x20\x00\x00", 4)));
  EXPECT_TRUE(f4.is_float());
  EXPECT_EQ(doubles(f4), std::vector<double>{2.5});
}

TEST(Npy, ReadsMoreThanOneBlockOfConvertedValues) {
  std::string data(100003, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i % 251);
  const auto got = doubles(read(npy(dict("|u1", "(100003,)"), data)));
  for (std::size_t i = 0; i < data.size(); ++i) ASSERT_EQ(got[i], static_cast<double>(i % 251));
}

TEST(Npy, TellsFortranOrder) {
  const Array got = read(npy(dict("<f8", "(2, 1)", "True"), raw<double>({1, 2})));
  EXPECT_TRUE(got.fortran_order);
}

TEST(Npy, EmptyAndScalarShapes) {
  EXPECT_EQ(read(npy(dict("<f8", "(0, 3)"), "")).shape, (Shape{0, 3}));
  EXPECT_EQ(doubles(read(npy(dict("<f8", "()"), raw<double>({4})))), std::vector<double>{4});
}

TEST(Npy, RefusesOtherTypesByName) {
  const auto error = [](const std::string& descr) {
    return io_error([&] { read(npy(dict(descr, "(1,)"), std::string(32, '\0'))); });
  };
  EXPECT_THAT(error("<f2"),
              HasSubstr("a.npy: holds half precision numbers (float16) ('<f2'), wanted"));
  EXPECT_THAT(error("<f16"), HasSubstr("extended precision"));
  EXPECT_THAT(error("<c16"), HasSubstr("complex numbers"));
  EXPECT_THAT(error("|O"), HasSubstr("Python objects"));
  EXPECT_THAT(error("|V8"), HasSubstr("structured"));
  EXPECT_THAT(error("<U3"), HasSubstr("strings"));
  EXPECT_THAT(error("<M8[ns]"), HasSubstr("dates"));
  for (const char* descr : {"", "<", "f", "<f3", "<i16", "<x4", "|b2", "<f8 "})
    EXPECT_THAT(error(descr), HasSubstr("[io] a.npy: holds")) << descr;
  const std::string fields = "{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (1,), }";
  EXPECT_THAT(io_error([&] { read(npy(fields, std::string(8, '\0'))); }), HasSubstr("structured"));
}

TEST(Npy, EveryTruncationIsAnIoError) {
  for (const int version : {1, 2}) {
    const std::string whole = npy(dict("<f8", "(3, 1)"), raw<double>({1, 2, 3}), version);
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_THAT(io_error([&] { read(whole.substr(0, size)); }), HasSubstr("a.npy")) << size;
  }
}

TEST(Npy, RefusesBytesAfterTheArray) {
  EXPECT_THAT(io_error([] {
                read(npy(dict("<f8", "(1,)"), raw<double>({1, 2})));
              }),
              HasSubstr("8 bytes after its array of shape (1,)"));
}

TEST(Npy, ImpossibleShapesNeitherCrashNorAllocate) {
  for (const char* shape :
       {"(9223372036854775807, 9223372036854775807)", "(4294967296, 4294967296)",
        "(9223372036854775807,)", "(1000000000000, 3)", "(3, 2)", "(4294967296, 4294967296, 0)"})
    EXPECT_THAT(io_error([&] {
                  read(npy(dict("<f8", shape), raw<double>({1, 2, 3})));
                }),
                HasSubstr("more than the 24 bytes left"))
        << shape;
  EXPECT_THAT(io_error([] { read(npy(dict("<f8", "(-1, 2)"), "")); }), HasSubstr("not negative"));
  EXPECT_THAT(io_error([] { read(npy(dict("<f8", "(9223372036854775808,)"), "")); }),
              HasSubstr("below 2^63"));
}

TEST(Npy, NamesThePlaceOfABadHeader) {
  const std::string data = raw<double>({1});
  for (const char* header :
       {"", "{", "{'descr': '<f8'}", "{'descr' '<f8'}", "['descr']", "{'descr': '<f8",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1.0,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': 1}"})
    EXPECT_THAT(io_error([&] { read(npy(header, data)); }), HasSubstr("a.npy: npy header, byte "))
        << header;
  EXPECT_THAT(io_error([] { read(npy(dict("<f8", "(x,)"), "")); }),
              HasSubstr("byte 61: wanted an integer"));  // 10 bytes before the header, 51 in it
  EXPECT_THAT(io_error([&] { read(npy(dict("<f8", "(1,)"), data, 4)); }), HasSubstr("format 4.0"));
  EXPECT_THAT(io_error([&] { read("PK\x03\x04 and more bytes"); }), HasSubstr("does not begin"));
}

TEST(Npy, WritesWhatItReads) {
  const Directory directory;
  const std::string path = directory / "a.npy";
  const float values[6] = {1, 2, 3, 4, 5, 6};
  write_npy(path, {{3, 2}, values});
  EXPECT_EQ(contents(path).size() % 8, 0u);
  EXPECT_EQ((contents(path).size() - sizeof values) % 64, 0u);
  FileSource file(path);
  const Array got = read_npy(file);
  EXPECT_TRUE(got.is_float());
  EXPECT_EQ(got.shape, (Shape{3, 2}));
  EXPECT_EQ(doubles(got), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  const bool flags[2] = {true, false};
  write_npy(path, {{2}, flags});
  FileSource again(path);
  EXPECT_EQ(doubles(read_npy(again)), (std::vector<double>{1, 0}));
  EXPECT_EQ(directory.entries(), 1u);
}
}  // namespace monge::io
