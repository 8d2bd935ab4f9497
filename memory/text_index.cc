#include "memory/text_index.h"

#include <utility>

#include "base/bytes.h"

namespace mneme::memory {

std::string EncodeEntry(const Entry& entry) {
  base::ByteWriter out;
  out.Number(entry.number);
  out.Number(entry.seq_first);
  out.Number(entry.seq_count);
  out.Number(entry.time_us);
  out.Text(entry.role);
  out.Text(entry.source);
  out.Number(entry.source_offset);
  out.Number(static_cast<uint32_t>(entry.metadata.size()));
  for (const auto& [key, value] : entry.metadata) {
    out.Text(key);
    out.Text(value);
  }
  out.Text(entry.text);
  return out.Take();
}

bool DecodeEntry(std::string_view payload, Entry& entry) {
  base::ByteReader in(payload);
  entry.number = in.Number<uint64_t>();
  entry.seq_first = in.Number<uint64_t>();
  entry.seq_count = in.Number<uint32_t>();
  entry.time_us = in.Number<int64_t>();
  entry.role = in.Text();
  entry.source = in.Text();
  entry.source_offset = in.Number<uint64_t>();
  const auto pairs = in.Number<uint32_t>();
  for (uint32_t i = 0; i < pairs && in.ok(); ++i) {
    const std::string key(in.Text());
    entry.metadata[key] = in.Text();
  }
  entry.text = in.Text();
  return in.done();
}

std::string EncodeEntryTerms(const EntryTerms& terms) {
  base::ByteWriter out;
  out.Number(static_cast<uint32_t>(terms.passages.size()));
  for (size_t p = 0; p < terms.passages.size(); ++p) {
    out.Number(terms.passages[p].bytes.begin);
    out.Number(terms.passages[p].bytes.end);
    out.Number(terms.passages[p].tokens);
    out.Number(static_cast<uint32_t>(terms.terms[p].size()));
    for (const TermCount& term : terms.terms[p]) {
      out.Number(term.term);
      out.Number(term.count);
    }
  }
  return out.Take();
}

bool DecodeEntryTerms(std::string_view payload, EntryTerms& terms) {
  base::ByteReader in(payload);
  const auto passages = in.Number<uint32_t>();
  for (uint32_t p = 0; p < passages && in.ok(); ++p) {
    EntryTerms::CutPassage passage;
    passage.bytes.begin = in.Number<uint32_t>();
    passage.bytes.end = in.Number<uint32_t>();
    passage.tokens = in.Number<uint32_t>();
    terms.passages.push_back(passage);
    const auto count = in.Number<uint32_t>();
    std::vector<TermCount>& list = terms.terms.emplace_back();
    for (uint32_t i = 0; i < count && in.ok(); ++i) {
      TermCount term;
      term.term = in.Number<uint64_t>();
      term.count = in.Number<uint32_t>();
      list.push_back(term);
    }
  }
  return in.done();
}

uint32_t TextView::PassageOf(uint64_t seq) const {
  // The last passage that begins at or before `seq`.
  uint32_t low = 0;
  uint32_t high = passage_count;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    ((*passages)[middle].seq_first <= seq ? low : high) = middle;
  }
  return low;
}

bool TextView::Joined(uint32_t passage) const {
  if (passage + 1 >= passage_count) return false;
  const Entry& here = *(*passages)[passage].entry;
  const Entry& next = *(*passages)[passage + 1].entry;
  if (!here.role.empty() && !next.role.empty()) return true;
  return here.source == next.source &&
         (here.number == next.number || !here.source.empty());
}

uint64_t BytesOf(const Entry& entry) {
  uint64_t bytes = entry.text.size() + entry.role.size() + entry.source.size();
  for (const auto& [key, value] : entry.metadata) {
    bytes += key.size() + value.size();
  }
  return bytes;
}

uint64_t TextView::EntryBytes() const {
  uint64_t bytes = 0;
  for (size_t i = 0; i < entry_count; ++i) bytes += BytesOf(*(*entries)[i]);
  return bytes;
}

TextIndex::TextIndex()
    : entries_(
          std::make_shared<base::StableList<std::shared_ptr<const Entry>>>()),
      passages_(std::make_shared<base::StableList<PassagePlace>>()) {}

void TextIndex::Add(Entry entry, const EntryTerms& terms) {
  const auto shared = std::make_shared<const Entry>(std::move(entry));
  lexical_.Add(static_cast<uint32_t>(passages_->size()), terms.terms);
  uint64_t seq = shared->seq_first;
  for (const EntryTerms::CutPassage& passage : terms.passages) {
    passages_->push_back({.bytes = passage.bytes,
                          .tokens = passage.tokens,
                          .seq_first = seq,
                          .entry = shared});
    seq += passage.tokens;
  }
  entries_->push_back(shared);
  text_bytes_ += shared->text.size();
}

TextIndex TextIndex::Without(const SeqSet& gone) const {
  TextIndex kept;
  for (size_t i = 0; i < entries_->size(); ++i) {
    const auto& entry = (*entries_)[i];
    if (gone.Contains(entry->seq_first)) continue;
    kept.entries_->push_back(entry);
    kept.text_bytes_ += entry->text.size();
  }
  std::vector<uint32_t> new_ids(passages_->size(), LexicalRun::kGone);
  for (size_t i = 0; i < passages_->size(); ++i) {
    const PassagePlace& place = (*passages_)[i];
    if (gone.Contains(place.seq_first)) continue;
    new_ids[i] = static_cast<uint32_t>(kept.passages_->size());
    kept.passages_->push_back(place);
  }
  kept.lexical_ = lexical_.Without(new_ids);
  return kept;
}

std::shared_ptr<const TextView> TextIndex::View() const {
  TextView view;
  view.entries = entries_;
  view.entry_count = entries_->size();
  view.passages = passages_;
  view.passage_count = static_cast<uint32_t>(passages_->size());
  view.lexical = lexical_.View();
  view.text_bytes = text_bytes_;
  return std::make_shared<const TextView>(std::move(view));
}

}  // namespace mneme::memory
