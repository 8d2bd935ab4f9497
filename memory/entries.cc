#include "memory/entries.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "memory/records.h"

namespace mneme::memory {

namespace {

// Whether the entry's passages lie in its text and have its tokens.
bool Fits(const Entry& entry, const EntryTerms& terms) {
  uint64_t tokens = 0;
  uint64_t at = 0;
  for (const EntryTerms::CutPassage& passage : terms.passages) {
    if (passage.bytes.begin < at || passage.bytes.end <= passage.bytes.begin ||
        passage.tokens == 0) {
      return false;
    }
    at = passage.bytes.end;
    tokens += passage.tokens;
  }
  return at <= entry.text.size() && tokens == entry.seq_count;
}

}  // namespace

void PutEntry(uint64_t uid, const Entry& entry, const EntryTerms& terms,
              WriteBatch& batch) {
  PutRecord(RecordKind::kEntry, EntryKey(uid, entry.number), EncodeEntry(entry),
            batch);
  PutRecord(RecordKind::kLexical, LexicalKey(uid, entry.number),
            EncodeEntryTerms(terms), batch);
}

void DeleteEntry(uint64_t uid, uint64_t number, WriteBatch& batch) {
  batch.Delete(EntryKey(uid, number));
  batch.Delete(LexicalKey(uid, number));
}

absl::StatusOr<EntryTerms> ReadTerms(const Store& store, uint64_t uid,
                                     const Entry& entry) {
  const std::string key = LexicalKey(uid, entry.number);
  const absl::StatusOr<std::string> record = store.Read(key);
  if (absl::IsNotFound(record.status())) {
    return MissingRecord(RecordKind::kLexical, key);
  }
  RETURN_IF_ERROR(record.status());
  ASSIGN_OR_RETURN(const std::string_view payload,
                   OpenRecord(RecordKind::kLexical, key, *record));
  EntryTerms terms;
  if (!DecodeEntryTerms(payload, terms) || !Fits(entry, terms)) {
    return MalformedRecord(RecordKind::kLexical, key);
  }
  return terms;
}

absl::Status LoadEntries(const Store& store, const Branch& branch,
                         uint64_t seq_next, const SeqSet& forgotten,
                         TextIndex& index) {
  absl::Status sound;
  uint64_t at = 0;  // Entries follow each other in the log.
  for (const Branch::Part& part : branch.Parts(seq_next)) {
    const std::string end = part.own
                                ? AllOf(part.uid, RecordKind::kEntry).second
                                : EntryKey(part.uid, part.entry_end);
    RETURN_IF_ERROR(ScanRecords(
        store, {EntryKey(part.uid, part.entry_begin), end}, RecordKind::kEntry,
        [&](std::string_view key, std::string_view payload) {
          Entry entry;
          if (!DecodeEntry(payload, entry) ||
              key != EntryKey(part.uid, entry.number) || entry.seq_first < at) {
            return false;
          }
          // Others remember what this session forgot, or, behind its part of a
          // trunk, never had since its parent had forgotten it.
          if (forgotten.Contains(entry.seq_first) ||
              (!part.own && entry.seq_first >= part.seqs.end)) {
            return true;
          }
          if (entry.seq_first > seq_next ||
              entry.seq_count > seq_next - entry.seq_first) {
            return false;
          }
          at = entry.seq_first + entry.seq_count;
          const absl::StatusOr<EntryTerms> terms =
              ReadTerms(store, part.uid, entry);
          sound.Update(terms.status());
          if (terms.ok()) index.Add(std::move(entry), *terms);
          return true;
        }));
  }
  return sound;
}

}  // namespace mneme::memory
