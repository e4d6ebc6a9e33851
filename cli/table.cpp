#include "cli/table.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <utility>

namespace memolock {
namespace {

constexpr std::string_view gap = "  ";
constexpr std::string_view ellipsis = "..";

struct Range {
  uint32_t first, last;
};

// East Asian Width W and F, and emoji, in blocks; what is not assigned there does no harm.
constexpr std::array<Range, 20> wide{{
    {0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23ec},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
    {0x2648, 0x2653}, {0x26a1, 0x26ff}, {0x2705, 0x2797},   {0x2b1b, 0x2b55},   {0x2e80, 0x303e},
    {0x3041, 0xa4cf}, {0xa960, 0xa97f}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
    {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd}, {0x16fe0, 0x18aff},
}};
// What is escaped does not get here.
constexpr std::array<Range, 5> without_width{{
    {0x0300, 0x036f},
    {0x0483, 0x0489},
    {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff},
    {0x20d0, 0x20ff},
}};

template <size_t N>
bool is_in(const std::array<Range, N>& ranges, uint32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& range) { return range.first <= c && c <= range.last; });
}

/// A character of UTF-8: its bytes, and its columns.
struct Glyph {
  size_t bytes;
  size_t columns;
};

/// The one at the front of a text, which is not empty.
Glyph first_glyph(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (length == 1 || text.size() < length) return {1, 1};
  uint32_t code = lead & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i)
    code = (code << 6U) | (static_cast<unsigned char>(text[i]) & 0x3fU);
  return {length, is_in(without_width, code) ? 0U : is_in(wide, code) ? 2U : 1U};
}

/// How many bytes at the front take at most so many columns.
size_t bytes_within(std::string_view text, size_t columns) {
  size_t bytes = 0;
  while (bytes < text.size()) {
    const Glyph glyph = first_glyph(text.substr(bytes));
    if (glyph.columns > columns) break;
    columns -= glyph.columns;
    bytes += glyph.bytes;
  }
  return bytes;
}

/// The front of a text without which the rest takes at most so many columns.
size_t bytes_before_last(std::string_view text, size_t columns) {
  size_t rest = columns_of(text);
  size_t bytes = 0;
  while (rest > columns) {
    const Glyph glyph = first_glyph(text.substr(bytes));
    rest -= glyph.columns;
    bytes += glyph.bytes;
  }
  return bytes;
}

}  // namespace

size_t columns_of(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const Glyph glyph = first_glyph(text);
    columns += glyph.columns;
    text.remove_prefix(glyph.bytes);
  }
  return columns;
}

std::string shortened(const std::string& text, size_t columns) {
  if (columns_of(text) <= columns) return text;
  if (columns <= ellipsis.size()) return std::string(ellipsis.substr(0, columns));
  const size_t rest = columns - ellipsis.size();
  std::string result = text.substr(0, bytes_within(text, rest - rest / 2));
  result += ellipsis;
  return result += text.substr(bytes_before_last(text, rest / 2));
}

Table::Table(Output& output, std::vector<Column> columns, size_t width)
    : output_(output), columns_(std::move(columns)), width_(width), settled_(width == 0) {}

void Table::add(std::vector<std::string> fields) {
  constexpr size_t sample = 1000;
  if (settled_) return write(fields);
  first_.push_back(std::move(fields));
  if (first_.size() == sample) settle();
}

void Table::finish() {
  if (!settled_ && !first_.empty()) settle();
}

/// Sets the columns' widths by the lines that there are, and writes these.
void Table::settle() {
  for (const Column& column : columns_) widths_.push_back(columns_of(column.title));
  for (const auto& line : first_)
    for (size_t i = 0; i < line.size(); ++i) widths_[i] = std::max(widths_[i], columns_of(line[i]));
  fit();
  settled_ = true;
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.emplace_back(column.title);
  write(titles);
  for (const auto& line : std::exchange(first_, {})) write(line);
}

/// Takes columns from the widest of those that can be shortened, until all fit.
void Table::fit() {
  const size_t gaps = gap.size() * (columns_.size() - 1);
  for (size_t sum = std::accumulate(widths_.begin(), widths_.end(), gaps); sum > width_; --sum) {
    size_t widest = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      const bool can = columns_[i].least > 0 && widths_[i] > columns_[i].least;
      if (can && (widest == columns_.size() || widths_[i] > widths_[widest])) widest = i;
    }
    if (widest == columns_.size()) return;
    --widths_[widest];
  }
}

void Table::write(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += width_ == 0 ? "\t" : gap;
    if (width_ == 0) {
      line += fields[i];
      continue;
    }
    const std::string field = columns_[i].least > 0 ? shortened(fields[i], widths_[i]) : fields[i];
    const std::string pad(widths_[i] - std::min(widths_[i], columns_of(field)), ' ');
    line += columns_[i].side == Side::right ? pad + field : field + pad;
  }
  if (width_ > 0) {
    line.erase(line.find_last_not_of(' ') + 1);
    if (columns_of(line) > width_) {
      const std::string_view end = ellipsis.substr(0, width_);
      line.resize(bytes_within(line, width_ - end.size()));
      line += end;
    }
  }
  output_.write(line + '\n');
}

}  // namespace memolock
