#include "io/csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace monge::io {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace testing;

Table parse(const std::string& text) { return parse_csv("a.csv", text); }
std::string error(const std::string& text) {
  return io_error([&] { parse(text); });
}

TEST(Csv, ReadsNumbersWithoutHeader) {
  const Table got = parse("1,2\n-3e-2,+.5\n");
  EXPECT_TRUE(got.names.empty());
  EXPECT_EQ(got.rows, 2);
  EXPECT_EQ(got.columns, 2);
  EXPECT_THAT(got.values, ElementsAre(1, 2, -0.03, 0.5));
}

TEST(Csv, ReadsHeaderQuotesCarriageReturnsCommentsAndMark) {
  const Table got = parse(
      "\xEF\xBB\xBF# made by hand\r\n\"x\", \"a \"\"b\"\", c\",weight\r\n\"1\", 2 ,3\r\n"
      "# between\r\n4,5,6");
  EXPECT_THAT(got.names, ElementsAre("x", "a \"b\", c", "weight"));
  EXPECT_THAT(got.values, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Csv, AHeaderAloneHasNoRows) {
  const Table got = parse("x,y\n");
  EXPECT_EQ(got.rows, 0);
  EXPECT_EQ(got.columns, 2);
}

TEST(Csv, BlankLinesMayOnlyEndIt) {
  EXPECT_EQ(parse("1\n2\n\n \r\n").rows, 2);
  EXPECT_THAT(error("1\n\n2\n"), HasSubstr("[io] a.csv, line 2: a blank line"));
}

TEST(Csv, NamesLineAndColumnOfWhatIsNoNumber) {
  EXPECT_THAT(error("x,y\n1,2\n3,four\n"),
              HasSubstr("a.csv, line 3, column 2: 'four', wanted a number"));
  EXPECT_THAT(error("1,2\n3,\n"), HasSubstr("line 2, column 2: an empty field"));
  EXPECT_THAT(error("x,1\n"), HasSubstr("line 1, column 1: 'x'"));
  EXPECT_THAT(error("\"two\nlines\",y\n1,2\n3,z\n"), HasSubstr("line 4, column 2"));
  for (const char* text :
       {"0x10\n", "1 2\n", "1;2\n", "1.5.2\n", "1e\n", "--1\n", "+-1\n", "1,2\r3\n"})
    EXPECT_THAT(error(std::string("7\n") + text), HasSubstr("[io] a.csv, line 2")) << text;
}

TEST(Csv, RefusesNumbersThatAreNotFinite) {
  for (const char* text : {"nan", "NaN", "inf", "-inf", "Infinity"})
    EXPECT_THAT(error(std::string("1\n") + text + "\n"), HasSubstr("line 2, column 1: '")) << text;
  EXPECT_THAT(error("nan,nan\n"), HasSubstr("line 1, column 1: 'nan' is not finite"));
  EXPECT_THAT(error("1e999\n"), HasSubstr("outside the range"));
}

TEST(Csv, RefusesRaggedRowsEmptyTextsAndBrokenQuotes) {
  EXPECT_THAT(error("1,2\n3\n"), HasSubstr("line 2: 1 fields, wanted 2"));
  EXPECT_THAT(error("x,y\n1,2,3\n"), HasSubstr("line 2: 3 fields, wanted 2"));
  EXPECT_THAT(error(""), HasSubstr("a.csv is empty"));
  EXPECT_THAT(error("# nothing\n\n"), HasSubstr("a.csv is empty"));
  EXPECT_THAT(error("x\n\"1\n2\n"), HasSubstr("line 2, column 1: a quote that is never closed"));
  EXPECT_THAT(error("x\n\"1\"2\n"), HasSubstr("line 2, column 1: text after a closing quote"));
  EXPECT_THAT(error(",x,y\n0,1,2\n"), HasSubstr("line 1, column 1: a header without a name"));
}

TEST(Csv, ShowsUnprintableFieldsHarmlessly) {
  EXPECT_THAT(error(std::string("1\n\x1b[31m\0", 8) + std::string(100, 'x')),
              HasSubstr("'?[31m?xxx"));
  EXPECT_LT(error("1\n" + std::string(100000, 'x')).size(), 120u);
}
}  // namespace monge::io
