"""Writes the files of this folder: checkpoints by PyTorch itself, and tensor names by diffusers' own converters.

    make_formats.py FOLDER_OF_NANO_MODELS OUTPUT_FOLDER

Needs torch, safetensors, diffusers 0.42 and transformers 5.
"""
import argparse, collections, gzip, json, os, re, sys
import torch
from safetensors.torch import load_file, save_file
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as convert
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

nano_folder, out = sys.argv[1:]


def shape(sd, name):
    return list(sd[name].shape)


def tagged(sd):
    """Every tensor filled with its own number; thirds of joined matrices with .0, .25 and .5 added."""
    tags = {}
    for i, (name, t) in enumerate(sd.items()):
        tags[name] = torch.full(t.shape, float(i), dtype=torch.float64)
        if "in_proj_" in name:
            for part in range(3):
                tags[name].chunk(3)[part].add_(part / 4)
    return tags


def rows(component, converted, sd, lines):
    names = list(sd)
    for name, t in converted.items():
        tag = t.flatten()[0].item()
        source = names[int(tag)]
        form = "same"
        if "in_proj_" in source:
            form = ("query", "key", "value")[int(tag % 1 * 4)]
        elif source.endswith("text_projection"):
            form = "transposed"
        elif t.dim() == 2 and sd[source].dim() == 4:
            form = "kernel"
        lines.append(f"{component}\t{name}\t{source}\t{form}")


def load_strictly(model, converted):
    missing, unexpected = model.load_state_dict({k: v.float() for k, v in converted.items()}, strict=False)
    missing = [m for m in missing if "position_ids" not in m]
    assert not missing and not unexpected, (missing, unexpected)


def unet_config(sd, layers=2, **more):
    p = "model.diffusion_model."
    widths = []
    n = 1
    while p + f"input_blocks.{n}.0.in_layers.0.weight" in sd:
        widths.append(shape(sd, p + f"input_blocks.{n}.0.out_layers.3.weight")[0])
        n += layers + 1
    down = ["CrossAttnDownBlock2D" if p + f"input_blocks.{1 + i * (layers + 1)}.1.norm.weight" in sd else "DownBlock2D"
            for i in range(len(widths))]
    attention = next(k for k in sd if k.endswith("attn2.to_k.weight"))
    def depth(i):
        q = p + f"input_blocks.{1 + i * (layers + 1)}.1.transformer_blocks."
        return max([int(k[len(q):].split(".")[0]) + 1 for k in sd if k.startswith(q)], default=1)
    config = dict(
        in_channels=4, out_channels=4, layers_per_block=layers, block_out_channels=widths, down_block_types=down,
        up_block_types=[d.replace("Down", "Up") for d in reversed(down)], attention_head_dim=8,
        cross_attention_dim=shape(sd, attention)[1], transformer_layers_per_block=[depth(i) for i in range(len(widths))],
        use_linear_projection=len(shape(sd, attention.replace("transformer_blocks.0.attn2.to_k", "proj_in"))) == 2)
    if p + "label_emb.0.0.weight" in sd:
        config |= dict(addition_embed_type="text_time", addition_time_embed_dim=256,
                       projection_class_embeddings_input_dim=shape(sd, p + "label_emb.0.0.weight")[1])
    return config | more


def names(family):
    sd = load_file(f"{nano_folder}/{family}-nano.safetensors")
    tags, lines = tagged(sd), []

    config = unet_config(sd)
    unet = convert.convert_ldm_unet_checkpoint(dict(tags), {k: v for k, v in config.items()} |
                                               {"class_embed_type": None, "addition_embed_type": config.get("addition_embed_type")})
    load_strictly(UNet2DConditionModel(**config, norm_num_groups=32), unet)
    rows("unet", unet, sd, lines)

    v = "first_stage_model."
    widths = []
    while v + f"encoder.down.{len(widths)}.block.0.conv1.weight" in sd:
        widths.append(shape(sd, v + f"encoder.down.{len(widths)}.block.0.conv1.weight")[0])
    config = dict(block_out_channels=widths, down_block_types=["DownEncoderBlock2D"] * len(widths),
                  up_block_types=["UpDecoderBlock2D"] * len(widths), layers_per_block=2, latent_channels=4)
    if v + "encoder.down.0.block.1.conv1.weight" not in sd:
        config["layers_per_block"] = 1
    vae = convert.convert_ldm_vae_checkpoint(dict(tags), config)
    load_strictly(AutoencoderKL(**config), vae)
    rows("vae", vae, sd, lines)

    def text_config(width, layers, vocabulary):
        return CLIPTextConfig(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
                              num_attention_heads=4, vocab_size=vocabulary, projection_dim=width)
    def strip(tower, model):
        return {k if k in model.state_dict() else k.removeprefix("text_model."): t for k, t in tower.items()}
    clip = {"sd1": "cond_stage_model.transformer.", "sdxl": "conditioner.embedders.0.transformer."}.get(family)
    if clip:
        tower = {k: t for k, t in convert.convert_ldm_clip_checkpoint(dict(tags), remove_prefix=clip).items()
                 if k.startswith("text_model.")}
        count = 1 + max(int(k.split(".")[3]) for k in tower if ".layers." in k)
        vocabulary, width = shape(sd, clip + "text_model.embeddings.token_embedding.weight")
        model = CLIPTextModel(text_config(width, count, vocabulary))
        load_strictly(model, strip(tower, model))
        rows("text_encoder", tower, sd, lines)
    openclip = {"sd2": "cond_stage_model.model.", "sdxl": "conditioner.embedders.1.model."}.get(family)
    if openclip:
        vocabulary, width = shape(sd, openclip + "token_embedding.weight")
        blocks = [k for k in sd if k.startswith(openclip + "transformer.resblocks.")]
        count = 1 + max(int(k[len(openclip):].split(".")[2]) for k in blocks)
        kind = CLIPTextModelWithProjection if family == "sdxl" else CLIPTextModel
        model = kind(text_config(width, count, vocabulary))
        tower = convert.convert_open_clip_checkpoint(model, dict(tags), prefix=openclip)
        load_strictly(model, strip(tower, model))
        rows("text_encoder_2" if family == "sdxl" else "text_encoder", tower, sd, lines)
    return lines


def pruned_names():
    """A UNet of BK-SDM's kind: one resnet a block, no middle; the numbers of its blocks follow CompVis' own code."""
    model = UNet2DConditionModel(
        block_out_channels=[32, 64, 64], layers_per_block=1, mid_block_type=None, cross_attention_dim=32,
        down_block_types=["CrossAttnDownBlock2D"] * 3, up_block_types=["CrossAttnUpBlock2D"] * 3, attention_head_dim=8)
    leaves = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
              "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
    top = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
           "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    ldm = {}
    for i, name in enumerate(model.state_dict()):
        block = re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)\.(\w+)$", name)
        if block:
            side, level, kind, layer, rest, leaf = block.groups()
            level, layer = int(level), int(layer)
            if side == "down":
                number = 1 + 2 * level + (1 if kind == "downsamplers" else 0)
                place = f"input_blocks.{number}." + ("1." if kind == "attentions" else "0.")
            else:
                number = 2 * level + (1 if kind == "upsamplers" else layer)
                place = f"output_blocks.{number}." + {"resnets": "0.", "attentions": "1.", "upsamplers": "2."}[kind]
            rest = leaves.get(rest, "op" if kind == "downsamplers" else rest)
            target = place + rest + "." + leaf
        else:
            stem, leaf = name.rsplit(".", 1)
            target = top[stem] + "." + leaf
        ldm["model.diffusion_model." + target] = name
    tags = {k: torch.full((1,), float(i)) for i, k in enumerate(ldm)}
    config = dict(model.config) | {"layers_per_block": 1}
    # The converter wants a middle block; it is given one and its tensors are taken out again.
    for part in ("0", "2"):
        for leaf in leaves.values():
            tags[f"model.diffusion_model.middle_block.{part}.{leaf}.weight"] = torch.full((1,), -1.0)
    tags["model.diffusion_model.middle_block.1.norm.weight"] = torch.full((1,), -1.0)
    converted = {k: t for k, t in convert.convert_ldm_unet_checkpoint(tags, config).items() if t.item() >= 0}
    order = list(ldm)
    assert {k: order[int(t.item())] for k, t in converted.items()} == {v: k for k, v in ldm.items()}
    return [f"unet\t{name}\t{source}\tsame" for source, name in ldm.items()]


def write(name, lines):
    with open(f"{out}/{name}", "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as f:
        f.write(("\n".join(lines) + "\n").encode())


for family in ("sd1", "sd2", "sdxl"):
    write(f"{family}-names.tsv.gz", names(family))
write("pruned-names.tsv.gz", pruned_names())

# Checkpoints of PyTorch with tensors of all kinds, and what their values are.
torch.manual_seed(5)
base = torch.randn(4, 6)
state = collections.OrderedDict(
    f32=torch.randn(3, 5), f16=torch.randn(2, 3, 2, 2).half(), bf16=torch.randn(7).bfloat16(),
    f64=torch.randn(2, 2, dtype=torch.float64), i64=torch.arange(-3, 4), i32=torch.arange(4, dtype=torch.int32),
    u8=torch.arange(5, dtype=torch.uint8), flag=torch.tensor([True, False]), scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3), parameter=torch.nn.Parameter(torch.randn(2, 2)),
    transposed=base.t(), part=base[1:3, 2:5], whole=base, half_transposed=torch.randn(5, 3).half().t(),
    permuted=torch.randn(2, 3, 4).permute(2, 0, 1))
checkpoint = {"epoch": 3, "global_step": 470000, "pytorch-lightning_version": "1.4.2", "state_dict": state,
              "hyper_parameters": argparse.Namespace(lr=1e-4, betas=(0.9, 0.999)), "loops": {"a": [1, None, True]},
              "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "groups": set([1])}]}
torch.save(checkpoint, f"{out}/all-kinds.ckpt")
torch.save(checkpoint, f"{out}/all-kinds-legacy.ckpt", _use_new_zipfile_serialization=False)
torch.save(checkpoint, f"{out}/all-kinds-protocol4.ckpt", pickle_protocol=4)
values = {k: t.detach().contiguous().clone() for k, t in state.items()}
save_file(values, f"{out}/all-kinds.safetensors")
f8 = {"e4m3": torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn),
      "e5m2": torch.arange(256, dtype=torch.uint8).view(torch.float8_e5m2)}
torch.save(f8, f"{out}/float8.pt")
save_file({k: t.float() for k, t in f8.items()}, f"{out}/float8-as-f32.safetensors")
