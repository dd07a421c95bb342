#!/usr/bin/env python3
"""Writes adapters for the small model sd1-nano with the programs that people train them with, and what the model gives
with them by diffusers and Hugging Face's transformers.

    pip install torch diffusers==0.42.1 transformers==5.24.0 peft==0.21.2 lycoris-lora==4.1.3 safetensors==0.8.0
    python3 make_adapters.py

peft-*.safetensors     diffusers' save_lora_weights of PEFT's layers: patterns of alpha, biases, DoRA
peft-lokr/             PEFT's save_pretrained: alpha is in adapter_config.json
lycoris-*.safetensors  LyCORIS' module for kohya's scripts
numbered*.safetensors  the layout of cloneofsimo's lora_diffusion, which writes numbers in place of names
tools-golden           NAME.text and NAME.eps for ids.cond, unet.x and timestep 500 of sd1-nano-golden
"""

import json
import logging
import pathlib
import shutil
import tempfile

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from lycoris.kohya import create_network
from lycoris.kohya import LycorisNetworkKohya
from peft import LoKrConfig, LoraConfig, get_peft_model, inject_adapter_in_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

HERE = pathlib.Path(__file__).parent
MODEL = {k: v.float() for k, v in load_file(HERE / "../golden/sd1-nano.safetensors").items()}
INPUTS = load_file(HERE / "../golden/sd1-nano-golden.safetensors")
TEXT = "cond_stage_model.transformer.text_model."

golden = {}


def networks():
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=2, cross_attention_dim=64, attention_head_dim=8, sample_size=16,
        down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2)
    unet.load_state_dict(convert_ldm_unet_checkpoint(MODEL, unet.config))
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=1000, hidden_size=64, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
        bos_token_id=998, eos_token_id=999, pad_token_id=999))
    text.load_state_dict({k.removeprefix(TEXT): v for k, v in MODEL.items() if k.startswith(TEXT)})
    return unet.eval(), text.eval()


def randomize(module, parts, seed):
    """Values that F16 holds exactly, for all parameters with such a part in their names."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            if not any(part in name for part in parts):
                continue
            if "magnitude" in name or "dora_scale" in name:
                parameter.mul_(1 + 0.2 * torch.rand(parameter.shape, generator=random))
            else:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=random))
            parameter.copy_(parameter.half().float())


@torch.no_grad()
def record(name, unet, text):
    hidden = text(INPUTS["ids.cond"]).last_hidden_state
    golden[name + ".text"] = hidden.contiguous()
    golden[name + ".eps"] = unet(INPUTS["unet.x"], 500, hidden).sample.contiguous()


def halves(state):
    return {k: v.half() for k, v in state.items()}


def peft(name, unet_config, text_config):
    unet, text = networks()
    unet.add_adapter(unet_config)
    inject_adapter_in_model(text_config, text)
    randomize(unet, ["lora"], 1)
    randomize(text, ["lora"], 2)
    with tempfile.TemporaryDirectory() as folder:
        StableDiffusionPipeline.save_lora_weights(
            folder, halves(get_peft_model_state_dict(unet)), halves(get_peft_model_state_dict(text)),
            unet_lora_adapter_metadata=unet.peft_config["default"].to_dict(),
            text_encoder_lora_adapter_metadata=text_config.to_dict())
        shutil.copyfile(folder + "/pytorch_lora_weights.safetensors", HERE / f"{name}.safetensors")
    record(name, unet, text)


def peft_folder(name, config):
    unet, text = networks()
    unet = get_peft_model(unet, config)
    randomize(unet, ["lokr"], 3)
    with tempfile.TemporaryDirectory() as folder:
        unet.save_pretrained(folder)
        (HERE / name).mkdir(exist_ok=True)
        save_file(halves(load_file(folder + "/adapter_model.safetensors")), HERE / name / "adapter_model.safetensors")
        shutil.copyfile(folder + "/adapter_config.json", HERE / name / "adapter_config.json")
    record(name, unet, text)


# A matrix and convolutions with as many inputs as outputs, with others, and with a smaller kernel.
SOME = [
    "mid_block.attentions.0.transformer_blocks.0.attn1.to_q",
    "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "down_blocks.1.resnets.0.conv1",
    "down_blocks.1.resnets.1.conv2",
    "down_blocks.1.resnets.0.conv_shortcut",
    "up_blocks.1.resnets.2.time_emb_proj",
]


def lycoris(name, layers=SOME, **options):
    unet, text = networks()
    preset = {"enable_conv": True, "unet_target_module": [], "unet_target_name": layers,
              "text_encoder_target_module": [], "text_encoder_target_name": ["encoder.layers.1.mlp.fc1"]}
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write("\n".join(f"{key} = {json.dumps(value)}" for key, value in preset.items()))
        file.flush()
        dims = {"network_dim": 2, "network_alpha": 3, "conv_dim": 2, "conv_alpha": 3, **options}
        network = create_network(1.0, dims.pop("network_dim"), dims.pop("network_alpha"), None, text, unet,
                                 preset=file.name, **dims)
    network.apply_to(text, unet, True, True)
    randomize(network, [""], 4)
    network.eval()
    network.save_weights(str(HERE / f"{name}.safetensors"), torch.float16, {})
    record(name, unet, text)


def numbered(name, unet_classes, words):
    unet, text = networks()
    for module in unet.modules():
        if type(module).__name__ == "BasicTransformerBlock":  # as diffusers had it when that layout was in use
            for part in ["attn2", "norm1", "norm2", "norm3"]:
                module._modules[part] = module._modules.pop(part)
    random = torch.Generator().manual_seed(5)
    tensors, metadata = dict(words), {word: "<embed>" for word in words}
    for network, module, classes in [("unet", unet, unet_classes), ("text_encoder", text, ["CLIPAttention"])]:
        metadata[network] = json.dumps(classes)
        kinds = (torch.nn.Linear, torch.nn.Conv2d) if "ResnetBlock2D" in classes else (torch.nn.Linear,)
        number = 0
        for outer in [m for m in module.modules() if type(m).__name__ in classes]:
            for layer in [m for m in outer.modules() if isinstance(m, kinds)]:
                shape = layer.weight.shape
                tail = (1,) * (len(shape) - 2)
                up = (0.3 * torch.randn(shape[0], 1, *tail, generator=random)).half()
                down = (0.3 * torch.randn(1, *shape[1:], generator=random)).half()
                layer.weight.data += (up.float().flatten(1) @ down.float().flatten(1)).reshape(shape)
                tensors[f"{network}:{number}:up"], tensors[f"{network}:{number}:down"] = up, down
                metadata[f"{network}:{number}:rank"] = "1"
                number += 1
    save_file(tensors, HERE / f"{name}.safetensors", metadata)
    record(name, unet, text)


def main():
    logging.disable(logging.WARNING)
    text = dict(r=2, lora_alpha=3, target_modules=["q_proj", "fc1"])
    layers = ["to_q", "to_k", "conv1", "proj_in", "ff.net.0.proj"]
    patterns = {"to_k": 2, "mid_block.attentions.0.transformer_blocks.0.attn2.to_q": 0.5}
    peft("peft-patterns", LoraConfig(r=1, lora_alpha=1.5, target_modules=layers, alpha_pattern=patterns,
                                     rank_pattern={"conv1": 2}), LoraConfig(**text))
    peft("peft-bias", LoraConfig(r=1, lora_alpha=1.5, target_modules=["conv1", "proj_in"], lora_bias=True),
         LoraConfig(**text, use_rslora=True))
    peft("peft-dora", LoraConfig(r=1, lora_alpha=1.5, target_modules=["to_v", "conv2", "conv_shortcut"],
                                 use_dora=True), LoraConfig(**text, use_dora=True))
    peft_folder("peft-lokr", LoKrConfig(r=2, alpha=1, target_modules=["to_v", "conv2"], init_weights=False,
                                        alpha_pattern={"conv2": 3}))
    lycoris("lycoris-locon", algo="locon")
    lycoris("lycoris-tucker", algo="locon", use_tucker=True)
    lycoris("lycoris-loha", algo="loha", use_tucker=True)
    lycoris("lycoris-lokr", algo="lokr", factor=4, decompose_both=True, use_tucker=True)
    lycoris("lycoris-whole", algo="lokr", factor=8, network_dim=100000, conv_dim=100000)
    lycoris("lycoris-dora", algo="locon", dora_wd=True)
    lycoris("lycoris-dora-inputs", algo="loha", dora_wd=True, wd_on_output=False)
    lycoris("lycoris-full", layers=SOME[:1] + SOME[-2:], algo="full", train_norm=True)
    word = torch.linspace(-1, 1, 64).half()
    numbered("numbered", ["CrossAttention", "Attention", "GEGLU"], {"<s1>": word, "<s2>": -word})
    numbered("numbered-convolutions", ["ResnetBlock2D", "Attention"], {})
    save_file(golden, HERE / "tools-golden.safetensors")


main()
