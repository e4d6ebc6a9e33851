#include "src/store/key_containers.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "src/entry/record.hpp"

namespace memolock {

bool NameSet::add(std::string_view name) {
  if (4 * (size_ + 1) > 3 * slots_.size()) grow();
  const uint64_t hash = checksum(name);
  if (!insert(hash == 0 ? 1 : hash)) return false;
  ++size_;
  return true;
}

bool NameSet::insert(uint64_t hash) {
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    if (slots_[at] == hash) return false;
    if (slots_[at] != 0) continue;
    slots_[at] = hash;
    return true;
  }
}

void NameSet::grow() {
  constexpr size_t smallest = 1024;
  const auto before = std::exchange(slots_,
                                    std::vector<uint64_t>(std::max(smallest, 2 * slots_.size())));
  for (const uint64_t hash : before)
    if (hash != 0) (void)insert(hash);
}

void KeyList::add(const Key& key, size_t number) {
  items_.push_back({static_cast<uint32_t>(text_.size()), static_cast<uint16_t>(key.tag.size()),
                    static_cast<uint16_t>(key.id.size()), static_cast<uint32_t>(number)});
  text_ += key.tag;
  text_ += key.id;
}

NumberedKey KeyList::at(size_t index) const {
  const Item& item = items_[index];
  return {Key{std::string(tag(item)), std::string(id(item))}, item.number};
}

void KeyList::sort() {
  std::sort(items_.begin(), items_.end(), [this](const Item& a, const Item& b) {
    return std::tuple(tag(a), id(a)) < std::tuple(tag(b), id(b));
  });
}

std::string_view KeyList::tag(const Item& item) const {
  return std::string_view(text_).substr(item.offset, item.tag_size);
}

std::string_view KeyList::id(const Item& item) const {
  return std::string_view(text_).substr(item.offset + item.tag_size, item.id_size);
}

}  // namespace memolock
