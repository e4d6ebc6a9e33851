#include "cli/table.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "src/system/utf8.hpp"

namespace memolock {
namespace {

constexpr std::string_view gap = "  ";
constexpr std::string_view ellipsis = "..";

struct Glyph {
  size_t bytes;
  size_t columns;
};

/// The character at the front of a text that is not empty. A byte that is not UTF-8 is treated as a
/// character.
Glyph first_glyph(std::string_view text) {
  const auto character = first_character(text);
  return character ? Glyph{character->size, columns_of(character->code)} : Glyph{1, 1};
}

/// The size of the longest prefix that takes at most `columns` columns.
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

/// The size of the shortest prefix whose removal leaves a text of at most `columns` columns.
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
    : output_(output), columns_(std::move(columns)), width_(width), widths_chosen_(width == 0) {}

void Table::add(std::vector<std::string> fields) {
  constexpr size_t sample = 1000;
  if (widths_chosen_) return write(fields);
  first_.push_back(std::move(fields));
  if (first_.size() == sample) choose_widths();
}

void Table::finish() {
  if (!widths_chosen_ && !first_.empty()) choose_widths();
}

/// Sets the widths of the columns from the buffered lines, and writes these lines.
void Table::choose_widths() {
  for (const Column& column : columns_) widths_.push_back(columns_of(column.title));
  for (const auto& line : first_)
    for (size_t i = 0; i < line.size(); ++i) widths_[i] = std::max(widths_[i], columns_of(line[i]));
  narrow_to_terminal();
  widths_chosen_ = true;
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.emplace_back(column.title);
  write(titles);
  for (const auto& line : std::exchange(first_, {})) write(line);
}

/// Narrows the widest of the columns that may be shortened until all fit into the terminal.
void Table::narrow_to_terminal() {
  const size_t gaps = gap.size() * (columns_.size() - 1);
  for (size_t sum = std::accumulate(widths_.begin(), widths_.end(), gaps); sum > width_; --sum) {
    size_t widest = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      const bool can = columns_[i].min_width > 0 && widths_[i] > columns_[i].min_width;
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
    const std::string field = columns_[i].min_width > 0 ? shortened(fields[i], widths_[i])
                                                        : fields[i];
    const std::string pad(widths_[i] - std::min(widths_[i], columns_of(field)), ' ');
    line += columns_[i].alignment == Alignment::right ? pad + field : field + pad;
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
