#include "io/result_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/atomic_file.hpp"
#include "support.hpp"

namespace monge::io {
using ::testing::HasSubstr;
using namespace testing;
namespace fs = std::filesystem;

const std::vector<std::string> kKnown{"report", "f", "plan"};

void write_both(ResultDirectory& results, const std::string& text) {
  write_text(results.file("report"), text);
  write_text(results.file("f"), text);
}

TEST(ResultDirectory, AppearsAtOnce) {
  const Directory directory;
  {
    ResultDirectory results(directory / "out/", false);
    write_both(results, "new");
    EXPECT_FALSE(fs::exists(directory / "out"));
    results.publish(kKnown);
  }
  EXPECT_EQ(contents(directory / "out/f"), "new");
  EXPECT_EQ(directory.entries(), 1u);
  fs::create_directory(directory / "plain");
  EXPECT_EQ(fs::status(directory / "out").permissions(),
            fs::status(directory / "plain").permissions());
}

TEST(ResultDirectory, LeavesNothingUnpublished) {
  const Directory directory;
  {
    ResultDirectory results(directory / "out", false);
    write_both(results, "new");
  }
  EXPECT_EQ(directory.entries(), 0u);
}

TEST(ResultDirectory, FillsAnEmptyDirectory) {
  const Directory directory;
  fs::create_directory(directory / "out");
  ResultDirectory results(directory / "out", false);
  write_both(results, "new");
  results.publish(kKnown);
  EXPECT_EQ(contents(directory / "out/report"), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory / "out"), {}), 2);
}

TEST(ResultDirectory, ForceReplacesResultsAndKeepsAllElse) {
  const Directory directory;
  fs::create_directory(directory / "out");
  for (const char* name : {"out/report", "out/f", "out/plan", "out/notes"})
    directory.write(name, "old");
  EXPECT_THAT(io_error([&] { ResultDirectory(directory / "out", false); }), HasSubstr("not empty"));
  ResultDirectory results(directory / "out", true);
  write_both(results, "new");
  EXPECT_EQ(contents(directory / "out/f"), "old");
  results.publish(kKnown);
  EXPECT_EQ(contents(directory / "out/f"), "new");
  EXPECT_EQ(contents(directory / "out/notes"), "old");
  EXPECT_FALSE(fs::exists(directory / "out/plan"));  // of the earlier run, not of this one
}

TEST(ResultDirectory, ATraceOfAKilledRunIsNotContent) {
  const Directory directory;
  fs::create_directories(directory / "out/.monge-killed");
  ResultDirectory results(directory / "out", false);
  write_both(results, "new");
  results.publish(kKnown);
  EXPECT_EQ(contents(directory / "out/f"), "new");
}

TEST(ResultDirectory, NamesWhatIsInTheWay) {
  const Directory directory;
  directory.write("file", "");
  EXPECT_THAT(io_error([&] { ResultDirectory(directory / "file", true); }),
              HasSubstr("not a directory"));
  EXPECT_THAT(io_error([&] { ResultDirectory(directory / "none/out", false); }),
              HasSubstr("No such file or directory"));
  EXPECT_THAT(io_error([&] { ResultDirectory("", false); }), HasSubstr("cannot write results"));
}
}  // namespace monge::io
