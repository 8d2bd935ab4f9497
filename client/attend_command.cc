#include "client/attend_command.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "client/client.h"
#include "client/output.h"
#include "client/render.h"
#include "client/safetensors.h"
#include "client/token_rows.h"

namespace mneme::client {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<v1::Tier> ParseTier(const std::string& name) {
  for (const v1::Tier tier :
       {v1::TIER_SINK, v1::TIER_WINDOW, v1::TIER_KNN, v1::TIER_COMPRESSIVE}) {
    if (name == NameOf(tier)) return tier;
  }
  return base::InvalidField(
      "--tiers",
      absl::StrCat(
          "\"", name, "\"",
          base::DidYouMean(name, {"sink", "window", "knn", "compressive"})),
      "sink, window, knn or compressive, with commas between");
}

// Layer `layer` of a [layers, ...] tensor, as a tensor of one dimension less.
NamedTensor LayerOf(const NamedTensor& tensor, int64_t layer) {
  const size_t bytes = tensor.data.size() / tensor.shape[0];
  return {.dtype = tensor.dtype,
          .shape = {tensor.shape.begin() + 1, tensor.shape.end()},
          .data = tensor.data.substr(layer * bytes, bytes)};
}

// The reads that the file and the options ask for.
absl::StatusOr<std::vector<v1::LayerRead>> ReadsOf(
    const Safetensors& file, const AttendOptions& options) {
  const auto found = file.tensors.find("q");
  if (found == file.tensors.end()) {
    return base::InvalidField("q", "no such tensor in the file",
                              "[query_heads, rows, key_dim]");
  }
  const NamedTensor& q = found->second;
  const size_t dimensions = q.shape.size();
  if (dimensions < 3 || dimensions > 4 || q.data.empty()) {
    return base::InvalidField("q", ShapeText(q.shape),
                              "[query_heads, rows, key_dim] or [layers, "
                              "query_heads, rows, key_dim], not empty");
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> positions,
                   PositionsOf(file, "positions", q.shape[dimensions - 2]));
  std::vector<v1::LayerRead> reads;
  const auto add = [&](uint32_t layer, const NamedTensor& queries) {
    v1::LayerRead read;
    read.set_layer(layer);
    ASSIGN_OR_RETURN(*read.mutable_queries(), ToWire("q", queries));
    read.mutable_positions()->Add(positions.begin(), positions.end());
    reads.push_back(std::move(read));
    return absl::OkStatus();
  };
  if (dimensions == 3) {
    RETURN_IF_ERROR(add(options.layer.value_or(0), q));
  } else if (!options.layer) {
    for (int64_t layer = 0; layer < q.shape[0]; ++layer) {
      RETURN_IF_ERROR(add(static_cast<uint32_t>(layer), LayerOf(q, layer)));
    }
  } else if (*options.layer < q.shape[0]) {
    RETURN_IF_ERROR(add(*options.layer, LayerOf(q, *options.layer)));
  } else {
    return base::InvalidField(
        "--layer", absl::StrCat(*options.layer),
        absl::StrCat("below the ", q.shape[0], " layers of q"));
  }
  return reads;
}

// One tensor of the answers', with a leading layers dimension if `stacked`.
absl::StatusOr<NamedTensor> Join(const v1::AttendResponse& response,
                                 const v1::Tensor& (v1::LayerOutput::*part)()
                                     const,
                                 bool stacked) {
  NamedTensor joined{.dtype = "F32", .shape = {}, .data = ""};
  const v1::Tensor& first = (response.outputs(0).*part)();
  if (stacked) joined.shape.push_back(response.outputs_size());
  joined.shape.insert(joined.shape.end(), first.shape().begin(),
                      first.shape().end());
  for (const v1::LayerOutput& output : response.outputs()) {
    const v1::Tensor& tensor = (output.*part)();
    if (tensor.data_type() != v1::DATA_TYPE_FLOAT32 ||
        tensor.shape_size() != first.shape_size() ||
        !std::equal(tensor.shape().begin(), tensor.shape().end(),
                    first.shape().begin())) {
      return absl::InternalError(
          "the server's answer is not FLOAT32 of one shape for all layers");
    }
    joined.data += tensor.data();
  }
  return joined;
}

absl::StatusOr<Safetensors> FileOf(const v1::AttendResponse& response,
                                   bool stacked) {
  Safetensors file;
  ASSIGN_OR_RETURN(file.tensors["output"],
                   Join(response, &v1::LayerOutput::output, stacked));
  bool mergeable = true;
  for (const v1::LayerOutput& output : response.outputs()) {
    mergeable &= output.has_lse();
    for (const v1::TierShare& tier : output.tiers()) {
      file.metadata[absl::StrFormat("layer.%d.%s", output.layer(),
                                    NameOf(tier.tier()))] =
          absl::StrFormat("%.9g", tier.share());
    }
  }
  if (mergeable) {
    ASSIGN_OR_RETURN(file.tensors["lse"],
                     Join(response, &v1::LayerOutput::lse, stacked));
  }
  file.metadata["seq_next"] = absl::StrCat(response.seq_next());
  return file;
}

void Print(const v1::AttendResponse& response, const Safetensors& file,
           const std::string& path, Context& context) {
  if (context.json()) {
    v1::AttendResponse shares = response;  // The numbers are in the file.
    for (v1::LayerOutput& output : *shares.mutable_outputs()) {
      output.clear_output();
      output.clear_lse();
    }
    context.out() << ToJson(shares) << std::endl;
    return;
  }
  std::vector<std::string> tensors;
  for (const auto& [name, tensor] : file.tensors) {
    tensors.push_back(name + " " + ShapeText(tensor.shape));
  }
  context.out() << path << ": " << absl::StrJoin(tensors, ", ") << "\n";
  for (const v1::LayerOutput& output : response.outputs()) {
    const std::string shares = TierShares(output.tiers());
    context.out() << "layer " << output.layer() << ": "
                  << (shares.empty() ? "nothing was visible" : shares) << "\n";
  }
  if (file.tensors.count("lse") == 0) {
    context.out() << "no lse: a gate mixed a memory in; --tiers asks for the "
                     "others alone\n";
  }
  context.out() << std::flush;
}

// A row for each token that came with it stands where its token stands, so that
// a chunk attends to itself causally.
absl::Status StandAtTokens(const Safetensors& in,
                           const TokenRowsResult& appended,
                           v1::AttendRequest& request) {
  const auto count = static_cast<int64_t>(appended.tokens);
  ASSIGN_OR_RETURN(std::vector<int64_t> positions,
                   PositionsOf(in, "k_positions", count));
  for (int64_t i = positions.size(); i < count; ++i) {
    positions.push_back(appended.last.position_next() - count + i);
  }
  for (v1::LayerRead& read : *request.mutable_reads()) {
    read.mutable_positions()->Assign(positions.begin(), positions.end());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> RunAttend(const AttendOptions& options, Context& context) {
  v1::AttendRequest request;
  request.set_session(SessionName(options.session));
  for (const std::string& name : options.tiers) {
    ASSIGN_OR_RETURN(const v1::Tier tier, ParseTier(name));
    request.add_tiers(tier);
  }
  if (options.top_k && options.exhaustive) {
    return base::InvalidField("--exhaustive", "--top-k too", "one of them");
  }
  if (options.top_k) request.mutable_selection()->set_top_k(*options.top_k);
  if (options.exhaustive) request.mutable_selection()->set_exhaustive(true);
  ASSIGN_OR_RETURN(const Safetensors in, ReadSafetensors(options.in));
  ASSIGN_OR_RETURN(auto reads, ReadsOf(in, options));
  request.mutable_reads()->Add(reads.begin(), reads.end());

  ASSIGN_OR_RETURN(Client * client, context.Open());
  const bool appends = in.tensors.count("k") + in.tensors.count("v") > 0;
  if (appends) {
    // Asked once before, so that a read that is refused appends nothing.
    RETURN_IF_ERROR(client->Attend(request).status());
    ASSIGN_OR_RETURN(
        const TokenRowsResult appended,
        AppendTokenRows(
            *client, request.session(), in,
            {.keys = "k", .values = "v", .positions = "k_positions"},
            /*buffered=*/false));
    const std::vector<int64_t>& shape = in.tensors.at("q").shape;
    const bool a_row_a_token =
        shape[shape.size() - 2] == static_cast<int64_t>(appended.tokens);
    if (a_row_a_token && in.tensors.count("positions") == 0) {
      RETURN_IF_ERROR(StandAtTokens(in, appended, request));
    }
    if (!context.json()) {
      context.err() << "appended " << appended.tokens << " tokens" << std::endl;
    }
  }
  ASSIGN_OR_RETURN(const v1::AttendResponse response, client->Attend(request));
  if (response.outputs_size() != request.reads_size()) {
    return absl::InternalError(absl::StrCat("the server answered ",
                                            response.outputs_size(), " of ",
                                            request.reads_size(), " reads"));
  }
  const bool stacked = in.tensors.at("q").shape.size() == 4 && !options.layer;
  ASSIGN_OR_RETURN(const Safetensors out, FileOf(response, stacked));
  RETURN_IF_ERROR(WriteSafetensors(out, options.out));
  Print(response, out, options.out, context);
  return kExitOk;
}

}  // namespace mneme::client
