#include "src/store/eviction.hpp"

#include <algorithm>
#include <string>

#include "src/entry/freshness.hpp"
#include "src/store/entry_file.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {
namespace {

bool is_of_another_version(const OwnedFile& file) {
  std::string front(fixed_part_size, '\0');
  const ssize_t got = read_all_at(file.get(), front.data(), front.size(), 0);
  return got == static_cast<ssize_t>(front.size()) && !payload_offset(front);
}

}  // namespace

Nanoseconds last_use_of(const OwnedFile& file) {
  return is_in_future(file.last_used, wall_now()) ? Nanoseconds(0) : file.last_used;
}

bool may_still_answer(const OwnedFile& file, Disposition disposition) {
  const auto entry = EntryFile::open(file.duplicate());
  if (!entry) return is_of_another_version(file);
  const Record& record = entry->record();
  if (record.disposition != disposition ||
      entry->payload_size() != record.out_size + record.err_size + record.files_size)
    return false;
  const Nanoseconds now = wall_now();
  const auto age = age_of(record, now);
  return age ? *age < record.retained : !is_in_future(record.ended, now);
}

void LruCandidates::add(const OwnedFile& file) {
  files_.emplace_back(last_use_of(file), file.disk_size);
  total_size_ += file.disk_size;
}

Nanoseconds LruCandidates::newest_to_remove(uint64_t max_size) {
  std::sort(files_.begin(), files_.end());
  uint64_t rest = total_size_;
  for (const auto& [used, size] : files_) {
    rest -= size;
    if (rest <= max_size) return used;
  }
  return Nanoseconds(0);
}

}  // namespace memolock
