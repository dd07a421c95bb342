// Aquarelle: Stable Diffusion networks on the CPU.
//
// The one public header of libaquarelle and the input of jextract. A program
//
//   1. creates an engine (threads and instruction set),
//   2. registers the tensors of a model file as weights (nothing is copied),
//   3. creates networks (text encoder, UNet, VAE) on an engine and weights,
//   4. calls them, and
//   5. closes every handle in any order.
//
// Tensors cross this edge as contiguous float32 in PyTorch's order, NCHW.
//
// Errors: every function that can fail returns an aq_status and, when `error` is not NULL, describes what is wrong in
// it. Nothing here ends the process: a NULL, closed or foreign handle, a wrong size or a missing tensor is a status.
//
// Threads: weights are immutable and may be shared by any number of engines. An engine and the networks on it serve
// one call at a time; a second call meanwhile returns AQ_BUSY and does nothing.
#ifndef AQUARELLE_H
#define AQUARELLE_H

#include <stdint.h>

#if defined(_WIN32)
#define AQ_API __declspec(dllexport)
#else
#define AQ_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Raised with every change of a struct or function below.
#define AQ_ABI_VERSION 11

typedef enum aq_status {
    AQ_OK = 0,
    AQ_INVALID_ARGUMENT = 1,  // a null pointer, wrong size, absurd number
    AQ_INVALID_MODEL = 2,     // a tensor is missing or its shape or type does not fit
    AQ_OUT_OF_MEMORY = 3,
    AQ_CANCELLED = 4,  // aq_control.cancel was set
    AQ_BUSY = 5,       // the engine is running another call
    AQ_CLOSED = 6,     // the handle was closed or never existed
    AQ_INTERNAL = 7
} aq_status;

typedef struct aq_error {
    int32_t status;
    char message[508];  // UTF-8, one line, always terminated
} aq_error;

// Names an engine, weights, an adapter or a network; never reused, 0 is none.
typedef uint64_t aq_handle;

// One tensor of a model file. `data` is borrowed until the weights and every network on them are closed.
typedef struct aq_tensor {
    const char *name;  // copied
    const void *data;
    uint64_t size;     // bytes
    int64_t shape[4];  // PyTorch's order, unused dimensions 1 at the end
    int32_t rank;      // 0 to 4
    int32_t type;      // number of the type in GGUF files: 0 F32, 1 F16, 30 BF16, 8 Q8_0, ...
} aq_tensor;

typedef enum aq_isa {
    AQ_ISA_AUTO = 0,
    AQ_ISA_PORTABLE = 1,
    AQ_ISA_NEON = 2,
    AQ_ISA_AVX2 = 3,
    AQ_ISA_AVX512 = 4
} aq_isa;

// How 3 x 3 convolutions of stride 1 are computed: by what is fastest for their shape, never by Winograd transforms, or
// always.
typedef enum aq_convolution {
    AQ_CONVOLUTION_AUTO = 0,
    AQ_CONVOLUTION_DIRECT = 1,
    AQ_CONVOLUTION_WINOGRAD = 2
} aq_convolution;

typedef struct aq_engine_options {
    int32_t threads;      // 1 to 512
    int32_t isa;          // aq_isa; one that this CPU lacks is AQ_INVALID_ARGUMENT
    int32_t convolution;  // aq_convolution
} aq_engine_options;

// Shared by the caller and a running call, each field read and written atomically.
typedef struct aq_control {
    int32_t cancel;       // the caller writes 1 to stop the call within one node of the graph
    int32_t nodes_done;   // written by the call
    int32_t nodes_total;  // written by the call
} aq_control;

AQ_API uint32_t aq_abi_version(void);

// Writes one line with the versions and the instruction set picked on this CPU, terminated, cut to `capacity` bytes.
AQ_API aq_status aq_describe(char *text, uint64_t capacity, aq_error *error);

// Highest resident memory of this process so far in bytes, 0 where the system does not tell.
AQ_API uint64_t aq_peak_rss(void);

AQ_API aq_status aq_engine_create(const aq_engine_options *options, aq_handle *engine, aq_error *error);

AQ_API aq_status aq_weights_create(const aq_tensor *tensors, uint64_t count, aq_handle *weights, aq_error *error);

// Closes any handle. A network keeps what it was created from alive; memory goes when the last user closes. Closing
// during a call of another thread is allowed: that call ends first.
AQ_API aq_status aq_close(aq_handle handle, aq_error *error);

// Values of a tensor from one stored type to another, both given as in aq_tensor. Input may be of any type that weights
// can have; output of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K or IQ4_NL. Blocks follow each other,
// so rows of a matrix must be whole blocks. A value that is no number, or too large for the output type, is
// AQ_INVALID_MODEL. Any number of threads may call it.
typedef struct aq_conversion {
    const void *input;
    void *output;
    uint64_t input_size, output_size;  // bytes
    uint64_t count;                    // values
    int32_t input_type, output_type;
} aq_conversion;

AQ_API aq_status aq_convert(const aq_conversion *call, aq_error *error);

// Writes a table of where the time of a network's last call went, terminated, cut to `capacity` bytes.
AQ_API aq_status aq_profile(aq_handle network, char *text, uint64_t capacity, aq_error *error);

// Adapters: small files that change the weights of a model (LoRA and its relatives).
//
// A change adds scale * D to one tensor W of the model, [outputs][inputs][kernel_h][kernel_w] or a vector, with D by
// the kind of the change:
//
//   LoRA (Hu et al., arXiv 2106.09685)      D = first
//   LoHa (Hyeon-Woo et al., arXiv 2108.06098)  D = first * second, element by element
//   LoKr (Yeh et al., arXiv 2309.14859)     D = first (x) second, Kronecker's product of their outputs and inputs
//   full                                    D = first.a
//
// A factor is `a` alone; or the product a b of [outputs][rank] and [rank][inputs][kernel_h][kernel_w]; or, with a core
// [p][q][kernel_h][kernel_w], sum_pq a[output][p] core[p][q] b[q][input]; there LoHa and LoKr have `a` as
// [p][outputs]. With a magnitude m (DoRA: Liu et al., arXiv 2402.09353), V = W + factor * D goes to m V / |V| and what
// that differs from W by is what counts; norms are of an output's weights, or with m of [1][inputs], of an input's.
typedef enum aq_adapter_kind {
    AQ_ADAPTER_LORA = 0,
    AQ_ADAPTER_LOHA = 1,
    AQ_ADAPTER_LOKR = 2,
    AQ_ADAPTER_FULL = 3
} aq_adapter_kind;

// Of a tensor that is not there, `data` is NULL; names do not count. Data is borrowed until the adapter and every
// network that uses it are closed.
typedef struct aq_adapter_factor {
    aq_tensor a, b, core;
} aq_adapter_factor;

typedef struct aq_adapter_change {
    const char *target;  // name of the tensor that changes; with "/0", "/1" or "/2" behind it a third of its rows
    int32_t kind;        // aq_adapter_kind
    float factor;        // of D: alpha / rank
    aq_adapter_factor first, second;
    aq_tensor magnitude;
} aq_adapter_change;

AQ_API aq_status aq_adapter_create(const aq_adapter_change *changes, uint64_t count, aq_handle *adapter,
                                   aq_error *error);

// Has a text encoder or a UNet compute with adapters from its next call on, in place of those that it had; none are its
// weights alone. Changes of the names of other networks' tensors are left aside. The weights themselves stay: LoRA is
// computed beside them, as two thin products; weights that change in other ways are copied, of quantised ones as F16.
// AQ_INVALID_MODEL names the tensor that a change does not fit; the network stays as it was.
AQ_API aq_status aq_adapt(aq_handle network, const aq_handle *adapters, const float *scales, uint64_t count,
                          aq_error *error);

// A tensor with the changes of adapters in it, as float32.
typedef struct aq_merge_call {
    aq_tensor tensor;
    float *output;  // [values]
    uint64_t output_count;
    const aq_handle *adapters;  // [adapter_count]
    const float *scales;        // [adapter_count]
    uint64_t adapter_count;
} aq_merge_call;

// Any number of threads may call it.
AQ_API aq_status aq_merge(const aq_merge_call *call, aq_error *error);

// CLIP text tower, by the names of Hugging Face or of OpenCLIP: token ids to hidden states and a pooled embedding.
typedef enum aq_gelu {
    AQ_GELU_AUTO = 0,   // quick with Hugging Face's names, exact with OpenCLIP's
    AQ_GELU_EXACT = 1,  // x Phi(x)
    AQ_GELU_QUICK = 2   // x / (1 + exp(-1.702 x)), of OpenAI's towers
} aq_gelu;

typedef struct aq_text_encoder_options {
    const char *prefix;  // before "embeddings.token_embedding.weight" or "token_embedding.weight"
    int32_t heads;       // 0: 64 channels a head
    int32_t gelu;        // aq_gelu
} aq_text_encoder_options;

typedef struct aq_text_encoder_info {
    int32_t width, layers, vocabulary, max_tokens;
    int32_t pooled_width;  // outputs of the text projection, or width without one
} aq_text_encoder_info;

typedef struct aq_text_encoder_call {
    const int32_t *tokens;  // [chunks][length]
    float *output;          // [chunks][length][width]
    float *pooled;          // [chunks][pooled_width], or NULL: the projection of the last layer, after the final
                            // LayerNorm, at the first token of the largest id, which is the end of text
    uint64_t token_count, output_count, pooled_count;
    int32_t chunks;       // encoded independently
    int32_t length;       // 1 to max_tokens
    int32_t skip_layers;  // layers left out of `output` at the end; "clip skip" n is n - 1 here
    int32_t final_norm;   // 1: `output` is after the final LayerNorm, 0: before
    const float *words;   // [word_count][width] further token embeddings (textual inversion), or NULL: of the ids that
                          // follow the vocabulary's; they never count as the end of text
    uint64_t word_count;
} aq_text_encoder_call;

AQ_API aq_status aq_text_encoder_create(aq_handle engine, aq_handle weights, const aq_text_encoder_options *options,
                                        aq_handle *encoder, aq_error *error);
AQ_API aq_status aq_text_encoder_get_info(aq_handle encoder, aq_text_encoder_info *info, aq_error *error);
AQ_API aq_status aq_text_encoder_encode(aq_handle encoder, const aq_text_encoder_call *call, aq_control *control,
                                        aq_error *error);

// CLIP image tower, by the names of Hugging Face: pictures to projected embeddings. Where the Resampler of an
// IP-Adapter Plus is among the weights, to its tokens [tokens][channels] instead, of what the layer before the last
// gives.
typedef struct aq_image_encoder_options {
    const char *prefix;  // before "vision_model.embeddings.patch_embedding.weight", "visual_projection.weight" and
                         // "image_proj.latents"
    int32_t heads;       // 0: 16, as in ViT-L, ViT-H and ViT-bigG
} aq_image_encoder_options;

typedef struct aq_image_encoder_info {
    int32_t side;   // of the square picture that it takes, in pixels
    int32_t width;  // of the embedding, or tokens times channels
} aq_image_encoder_info;

typedef struct aq_image_encoder_call {
    const float *pictures;  // [images][3][side][side], less CLIP's mean and divided by its deviation
    float *output;          // [images][width]: the projection of the first token of the last layer, after its norm; or
                            // the resampler's tokens
    uint64_t picture_count, output_count;  // in floats
    int32_t images;
} aq_image_encoder_call;

AQ_API aq_status aq_image_encoder_create(aq_handle engine, aq_handle weights, const aq_image_encoder_options *options,
                                         aq_handle *encoder, aq_error *error);
AQ_API aq_status aq_image_encoder_get_info(aq_handle encoder, aq_image_encoder_info *info, aq_error *error);
AQ_API aq_status aq_image_encoder_encode(aq_handle encoder, const aq_image_encoder_call *call, aq_control *control,
                                         aq_error *error);

// UNet of the latent diffusion family (CompVis names): noisy latent, timestep and text embedding to the network's
// raw output (eps or v).
//
// A convolution may have several kernels (CondConv, arXiv 1904.04971) that each image mixes for itself: in place of
// "X.weight" and "X.bias", "X.experts.weight" [n][outputs * inputs * k * k], "X.experts.bias" [n][outputs],
// "X.router.weight" [n][inputs] and, if need be, "X.router.bias" [n]. With r = act(router mean(x) + bias), the kernel
// is the sum of r_i times expert i, and so is its bias.
typedef enum aq_router { AQ_ROUTER_SIGMOID = 0, AQ_ROUTER_SOFTMAX = 1 } aq_router;

typedef struct aq_unet_options {
    const char *prefix;  // before "input_blocks.0.0.weight"
    int32_t heads;       // attention heads at every level, or 0
    int32_t head_width;  // channels a head, or 0; exactly one of the two is set
    int32_t router;      // aq_router, act above
} aq_unet_options;

typedef struct aq_unet_info {
    int32_t in_channels, out_channels, model_channels, context_width;
    int32_t levels;          // the latent is halved levels - 1 times
    int32_t label_width;     // of the vector that conditions SDXL (pooled text and sizes), 0: it takes none
    int32_t guidance_width;  // of the guidance embedding of latent consistency models, 0: it takes none
    int32_t units;           // see aq_unit
    int32_t residuals;       // places where control nets add to it: behind each input block and the middle block
} aq_unet_info;

// Units: the parts of a UNet of which a call can say what to do with them. Some are parts of others.
typedef enum aq_unit_kind {
    AQ_UNIT_BLOCK = 0,              // "input_blocks.4", "middle_block", "output_blocks.11": all that has this prefix
    AQ_UNIT_RESNET = 1,             // "input_blocks.4.0"; joins the skip connection to its input where there is one
    AQ_UNIT_TRANSFORMER = 2,        // "input_blocks.4.1", its projections and norm too
    AQ_UNIT_TRANSFORMER_BLOCK = 3,  // "input_blocks.4.1.transformer_blocks.0"
    AQ_UNIT_SELF_ATTENTION = 4,     // "....attn1"; this and the next two are what is added to their input
    AQ_UNIT_CROSS_ATTENTION = 5,    // "....attn2"
    AQ_UNIT_FEED_FORWARD = 6,       // "....ff"
    AQ_UNIT_CONVOLUTION = 7         // first convolution, down- and upsampling, "out"
} aq_unit_kind;

typedef struct aq_unit {
    char name[96];      // as in tensors' names, without the UNet's prefix, terminated
    int32_t kind;       // aq_unit_kind
    int32_t parent;     // the unit that this one is a part of, or -1
    int32_t skippable;  // 1: its output has the shape of its input, so that a call may leave it out
} aq_unit;

// What a call does with a unit. Parts of a unit that is reused or skipped must be AQ_COMPUTE, and are not computed.
// Neither is any other unit that nothing computed needs.
typedef enum aq_action {
    AQ_COMPUTE = 0,
    AQ_STORE = 1,  // compute, and store the output in the image's cache
    AQ_REUSE = 2,  // take the output from the image's cache, where an earlier call stored it
    AQ_SKIP = 3,   // pass the input on (of a resnet: without the skip connection), or add nothing to it
    // The same of a resnet that joins a skip connection, which it leaves to the next one that joins one at this size,
    // as the code of ALTER (arXiv 2505.21817) does where a level has no attention.
    AQ_SKIP_UNPOPPED = 4
} aq_action;

// Units that do work of their own, which all kinds do but blocks and transformer blocks, by what a call did with them;
// the three add up to the same number always.
typedef struct aq_unet_work {
    int32_t run;
    int32_t reused;        // stored outputs took their place, or the place of what they are a part of
    int32_t skipped;       // neither: skipped, or needed by nothing
    double multiply_adds;  // of all images, a convolution counted as direct, without what is computed once a prompt
} aq_unet_work;

// A term that an adapter adds to the output of each cross-attention, before its projection.
typedef struct aq_attention_term {
    aq_handle adapter;
    const float *context;    // [batch][tokens][width] of the adapter
    uint64_t context_count;  // in floats
    int32_t tokens;
    float scale;
} aq_attention_term;

typedef struct aq_unet_call {
    const float *latent;     // [batch][in_channels][height][width], already scaled for the network
    const float *timesteps;  // [batch], 0 to 999, need not be whole
    const float *context;    // [batch][tokens][context_width]
    const float *label;      // [batch][label_width], ignored if that is 0
    const float *guidance;   // [batch][guidance_width], ignored if that is 0
    float *output;           // [batch][out_channels][height][width]
    uint64_t latent_count, timestep_count, context_count, label_count, guidance_count, output_count;  // in floats
    int32_t batch, height, width, tokens;
    const uint8_t *actions;   // [units] of aq_action, or NULL: everything is computed
    const aq_handle *caches;  // [batch], each image's own, or NULL: nothing is stored or reused
    aq_unet_work *work;       // what was done, or NULL
    uint64_t action_count, cache_count;
    const float *const *residuals;  // [batch], what control nets add to each image: all residuals one behind the other,
                                    // each [height][width][channels], as they write them; or NULL
    uint64_t residual_count;        // floats of each image
    const aq_attention_term *terms;  // of adapters, or NULL
    uint64_t term_count;             // 16 at most
} aq_unet_call;

AQ_API aq_status aq_unet_create(aq_handle engine, aq_handle weights, const aq_unet_options *options, aq_handle *unet,
                                aq_error *error);
AQ_API aq_status aq_unet_get_info(aq_handle unet, aq_unet_info *info, aq_error *error);
// Fills `units` in the order in which they run, each before its parts. `count` is that of aq_unet_info.
AQ_API aq_status aq_unet_get_units(aq_handle unet, aq_unit *units, uint64_t count, aq_error *error);

// Makes a cache for stored outputs of a UNet's units, of one image in a series of calls: one branch of one picture. It
// fits latents of one size; storing at another size drops what it holds. A call that fails leaves its outputs as they
// were. aq_close gives the memory back.
AQ_API aq_status aq_feature_cache_create(aq_handle unet, aq_handle *cache, aq_error *error);

// Tells what a call would do, of its sizes and actions; images are taken as branches that differ in their text (and
// label) only. Nothing is computed and no cache is needed.
AQ_API aq_status aq_unet_estimate(aq_handle unet, const aq_unet_call *call, aq_unet_work *work, aq_error *error);

// Fills `floats` with the lengths of an image's residuals for latents of a size. `count` is that of aq_unet_info.
AQ_API aq_status aq_unet_get_residuals(aq_handle unet, int32_t height, int32_t width, uint64_t *floats, uint64_t count,
                                       aq_error *error);

// Fills `read` with which residuals a call of these sizes and actions reads, 1 or 0.
AQ_API aq_status aq_unet_get_residuals_read(aq_handle unet, const aq_unet_call *call, uint8_t *read, uint64_t count,
                                            aq_error *error);

AQ_API aq_status aq_unet_evaluate(aq_handle unet, const aq_unet_call *call, aq_control *control, aq_error *error);

// Adapters of cross-attentions: attention of the same queries Q to keys and values of what the adapter reads, c, is
// added to the attention's own output O, times the term's scale: A = attention(Q, K c, V c) (IP-Adapter, Ye et al.,
// arXiv 2308.06721). With gains it is matched to O's norm: gain |O| / |A| A + offset, each norm that of all tokens and
// channels of one image (SpeedUpNet, Chai et al., arXiv 2312.08887, which takes those of all images of a batch).
typedef struct aq_attention_adapter_options {
    const char *prefix;  // before "input_blocks.1.1.transformer_blocks.0.attn2.k.weight", as units are called; beside
                         // ".k.weight" and ".v.weight" [channels, width] stand ".gain" and ".offset" [channels], or not
} aq_attention_adapter_options;

// For one UNet, which is kept alive; every cross-attention must have its tensors. `width` is set to that of what the
// adapter reads.
AQ_API aq_status aq_attention_adapter_create(aq_handle unet, aq_handle weights,
                                             const aq_attention_adapter_options *options, aq_handle *adapter,
                                             int32_t *width, aq_error *error);

// ControlNet (Zhang, Rao and Agrawala, arXiv 2302.05543; CompVis names): a copy of a UNet's encoder that reads a
// picture beside the latent, and what it adds to that UNet.
typedef struct aq_control_net_options {
    const char *prefix;  // before "input_hint_block.0.weight"
} aq_control_net_options;

typedef struct aq_control_net_info {
    int32_t in_channels;    // of the latent that it takes
    int32_t hint_channels;  // of the picture
    int32_t factor;         // pixels of the picture per latent cell and side
} aq_control_net_info;

typedef struct aq_control_net_call {
    const float *latent;      // [batch][in_channels][height][width], and so on as the UNet's call
    const float *timesteps;   // [batch]
    const float *context;     // [batch][tokens][context_width]
    const float *label;       // [batch][label_width], ignored if the UNet takes none
    const float *hint;        // [hint_channels][height * factor][width * factor], 0 to 1, the same for all images
    float *const *residuals;  // [batch], as the UNet's call takes them
    const uint8_t *wanted;    // [residuals], 0: left as it is and not computed; or NULL: all are wanted
    uint64_t latent_count, timestep_count, context_count, label_count, hint_count, residual_count, wanted_count;
    int32_t batch, height, width, tokens;
    float scale;   // of the residuals
    int32_t adds;  // 1: added to what another control net wrote, 0: written over it
} aq_control_net_call;

// For one UNet, which gives the engine and is kept alive. A model that was made for another kind of UNet is
// AQ_INVALID_MODEL, with the tensor that does not fit.
AQ_API aq_status aq_control_net_create(aq_handle unet, aq_handle weights, const aq_control_net_options *options,
                                       aq_handle *control_net, aq_error *error);
AQ_API aq_status aq_control_net_get_info(aq_handle control_net, aq_control_net_info *info, aq_error *error);
AQ_API aq_status aq_control_net_evaluate(aq_handle control_net, const aq_control_net_call *call, aq_control *control,
                                         aq_error *error);

// Tells how much a call would compute, of its sizes and `wanted`; images are taken as branches that differ in their
// text only. Multiply-adds are counted as in aq_unet_work, without what is computed once a picture.
AQ_API aq_status aq_control_net_estimate(aq_handle control_net, const aq_control_net_call *call, double *multiply_adds,
                                         aq_error *error);

// AutoencoderKL (CompVis names), or a tiny autoencoder in its place (TAESD, names of its author or of diffusers). A
// call whose buffers would take more than it may computes bands of rows, more slowly, with the statistics of the whole
// picture; its result differs by rounding only (about 70 dB below the whole). Latents here are unscaled: the caller
// divides by the model's VAE scale before decode and multiplies after encode.
typedef struct aq_vae_options {
    const char *prefix;  // before "decoder.conv_in.weight"
} aq_vae_options;

typedef struct aq_vae_info {
    int32_t latent_channels, image_channels;
    int32_t factor;                    // pixels per latent cell and side
    int32_t has_encoder, has_decoder;  // 0 or 1
    int32_t scaled;                    // 1: a tiny autoencoder, whose latents are those of the UNet, never divided
} aq_vae_info;

typedef struct aq_vae_call {
    const float *input;  // decode: latent [batch][latent_channels][height][width];
                         // encode: image [batch][image_channels][height * factor][width * factor], -1 to 1
    float *output;       // decode: image, not clamped; encode: [batch][2 * latent_channels][height][width], mean then
                         // log variance
    uint64_t input_count, output_count;  // in floats
    int32_t batch, height, width;        // of the latent
    uint64_t max_memory;                 // bytes of buffers that the call may take, or 0: what is available
} aq_vae_call;

AQ_API aq_status aq_vae_create(aq_handle engine, aq_handle weights, const aq_vae_options *options, aq_handle *vae,
                               aq_error *error);
AQ_API aq_status aq_vae_get_info(aq_handle vae, aq_vae_info *info, aq_error *error);
// Tells how many bytes of buffers aq_vae_decode (`encode` 0) or aq_vae_encode (1) would take; input and output of the
// call are ignored. Where that is more than max_memory, the call would be AQ_OUT_OF_MEMORY.
AQ_API aq_status aq_vae_estimate(aq_handle vae, const aq_vae_call *call, int32_t encode, uint64_t *bytes,
                                 aq_error *error);
AQ_API aq_status aq_vae_decode(aq_handle vae, const aq_vae_call *call, aq_control *control, aq_error *error);
AQ_API aq_status aq_vae_encode(aq_handle vae, const aq_vae_call *call, aq_control *control, aq_error *error);

// Upscaler: RRDBNet of ESRGAN (Wang et al., arXiv 1809.00219) and Real-ESRGAN (Wang et al., arXiv 2107.10833), by the
// names of BasicSR. Blocks, widths and scale are read from the tensors.
typedef struct aq_upscaler_options {
    const char *prefix;  // before "conv_first.weight"
} aq_upscaler_options;

typedef struct aq_upscaler_info {
    int32_t channels;  // of a picture
    int32_t scale;     // pixels of the output per pixel of the input and side
    int32_t multiple;  // what sides of the input must be multiples of; more than 1 where the network folds pixels into
                       // channels
    int32_t blocks;
    int32_t radius;  // how many pixels of the input, before, behind, over and under a pixel, its output depends on
} aq_upscaler_info;

typedef struct aq_upscaler_call {
    const float *input;                  // picture [channels][height][width], 0 to 1
    float *output;                       // [channels][height * scale][width * scale], not clamped
    uint64_t input_count, output_count;  // in floats
    int32_t height, width;               // of the input
    uint64_t max_memory;                 // bytes of buffers that the call may take, or 0: what is available
} aq_upscaler_call;

AQ_API aq_status aq_upscaler_create(aq_handle engine, aq_handle weights, const aq_upscaler_options *options,
                                    aq_handle *upscaler, aq_error *error);
AQ_API aq_status aq_upscaler_get_info(aq_handle upscaler, aq_upscaler_info *info, aq_error *error);
// Tells how many bytes of buffers aq_upscaler_upscale would take; only the sizes of the call count.
AQ_API aq_status aq_upscaler_estimate(aq_handle upscaler, const aq_upscaler_call *call, uint64_t *bytes,
                                      aq_error *error);
AQ_API aq_status aq_upscaler_upscale(aq_handle upscaler, const aq_upscaler_call *call, aq_control *control,
                                     aq_error *error);

#ifdef __cplusplus
}
#endif

#endif
