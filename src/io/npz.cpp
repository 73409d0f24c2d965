#include "io/npz.hpp"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>

#include "format.hpp"
#include "monge/core/error.hpp"

namespace monge::io {
namespace {
constexpr std::string_view kSuffix = ".npy";

std::string message_of(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string out = zip_error_strerror(&error);
  zip_error_fini(&error);
  return out;
}

// The most that a compressed entry can hold, so that a false size is known before it is allocated.
std::uint64_t largest_size(const zip_stat_t& entry, const std::string& name) {
  constexpr std::uint64_t kDeflateRatio = 1032;  // a bit of deflate stands for at most 129 bytes
  switch (entry.comp_method) {
    case ZIP_CM_STORE:
      return entry.comp_size;
    case ZIP_CM_DEFLATE:
      return entry.comp_size * kDeflateRatio;
  }
  throw IoError(fmt::format("[io] {} is compressed by method {}, wanted stored or deflated", name,
                            entry.comp_method));
}

class EntrySource final : public Source {
 public:
  EntrySource(zip* archive, const zip_stat_t& entry, std::string name)
      : Source(std::move(name), entry.size), file_(zip_fopen_index(archive, entry.index, 0)) {
    if (!file_)
      throw IoError(fmt::format("[io] cannot read {}: {}", this->name(), zip_strerror(archive)));
  }
  ~EntrySource() override { zip_fclose(file_); }

  // The check sum is compared at the end, which is only seen by reading beyond the last byte.
  void finish() {
    std::byte beyond;
    if (read_some(&beyond, 1) != 0)
      throw IoError(fmt::format("[io] {} is longer than its archive says", name()));
  }

 private:
  std::uint64_t read_some(void* out, std::uint64_t bytes) override {
    const zip_int64_t got = zip_fread(file_, out, bytes);
    if (got < 0)
      throw IoError(fmt::format("[io] cannot read {} at byte {}: {}", name(), position(),
                                zip_file_strerror(file_)));
    return static_cast<std::uint64_t>(got);
  }

  zip_file_t* file_;
};
}  // namespace

void NpzReader::Close::operator()(zip* archive) const { zip_discard(archive); }

NpzReader::NpzReader(const std::string& path) : name_(path) {
  bytes_ = FileSource(path).remaining();  // its errors are clearer than libzip's
  int code = 0;
  archive_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!archive_)
    throw IoError(fmt::format("[io] {} is not an npz file: {}", path, message_of(code)));
  list();
}

NpzReader::NpzReader(std::string name, std::span<const std::byte> bytes)
    : name_(std::move(name)), bytes_(bytes.size()) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  archive_.reset(source ? zip_open_from_source(source, ZIP_RDONLY, &error) : nullptr);
  const std::string why = archive_ ? "" : zip_error_strerror(&error);
  if (!archive_ && source) zip_source_free(source);
  zip_error_fini(&error);
  if (!archive_) throw IoError(fmt::format("[io] {} is not an npz file: {}", name_, why));
  list();
}

void NpzReader::list() {
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* entry = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0);
    const std::string_view name = entry ? entry : "";
    if (name.ends_with(kSuffix)) keys_.emplace_back(name.substr(0, name.size() - kSuffix.size()));
  }
}

bool NpzReader::has(const std::string& key) const {
  return std::find(keys_.begin(), keys_.end(), key) != keys_.end();
}

Array NpzReader::read(const std::string& key) const {
  if (!has(key))
    throw IoError(fmt::format("[io] {} has no array '{}'; it has {}", name_, key,
                              keys_.empty() ? "none" : fmt::format("'{}'", listed(keys_, "', '"))));
  const std::string entry = key + std::string(kSuffix), name = fmt::format("{}[{}]", name_, key);
  zip_stat_t status;
  if (zip_stat(archive_.get(), entry.c_str(), 0, &status) != 0)
    throw IoError(fmt::format("[io] cannot read {}: {}", name, zip_strerror(archive_.get())));
  if (status.comp_size > bytes_ || status.size > largest_size(status, name))
    throw IoError(fmt::format("[io] {} claims {} bytes in {}, more than its archive can hold", name,
                              status.size, status.comp_size));
  EntrySource source(archive_.get(), status, name);
  Array out = read_npy(source);
  source.finish();
  return out;
}
}  // namespace monge::io
