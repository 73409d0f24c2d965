#include "io/atomic_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support.hpp"

namespace monge::io {
using ::testing::HasSubstr;
using namespace testing;

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const Directory directory;
  const std::string path = directory.write("a", "old");
  {
    AtomicFile file(path);
    file.write("new contents", 12);
    EXPECT_EQ(contents(path), "old");
    file.commit();
  }
  EXPECT_EQ(contents(path), "new contents");
  EXPECT_EQ(directory.entries(), 1u);
}

TEST(AtomicFile, LeavesNothingWhenAbandoned) {
  const Directory directory;
  { AtomicFile(directory / "a").write("half", 4); }
  EXPECT_EQ(directory.entries(), 0u);
}

TEST(AtomicFile, HasTheModeOfAnyNewFile) {
  const Directory directory;
  write_text(directory / "a", "text");
  directory.write("b", "text");
  struct stat ours {
  }, plain{};
  ASSERT_EQ(stat((directory / "a").c_str(), &ours), 0);
  ASSERT_EQ(stat((directory / "b").c_str(), &plain), 0);
  EXPECT_EQ(ours.st_mode, plain.st_mode);
}

TEST(AtomicFile, NamesWhatCannotBeWritten) {
  const Directory directory;
  EXPECT_THAT(io_error([&] { write_text(directory / "none/a", ""); }),
              HasSubstr("none/a: No such file"));
  directory.write("file", "");
  EXPECT_THAT(io_error([&] { write_text(directory / "file/a", ""); }),
              HasSubstr("Not a directory"));
}
}  // namespace monge::io
