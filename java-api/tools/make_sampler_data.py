#!/usr/bin/env python3
"""Writes samplers.txt, the results of k-diffusion's and diffusers' samplers that SamplersTest compares with.

    pip install torch scipy torchdiffeq torchsde diffusers==0.42.1
    pip install --no-deps k-diffusion==0.1.1.post1
    python3 java-api/tools/make_sampler_data.py > java-api/src/test/resources/io/aquarelle/sampling/samplers.txt

All in float64, on one problem: data of two Gaussians around -1 and 1 with variance 1/4, of which the exact estimate is
known; the estimate without prompt, where one is needed, is that of one Gaussian around 0 with variance 1/4. The latent
starts as sigmas[0] times the cosine of 0, 1, ... 5, and the k-th value of all fresh noise is 1.4 sin k.
"""

import importlib
import sys
import types

import numpy
import torch

torch.set_default_dtype(torch.float64)

SIGMAS = [14.5, 6, 2.5, 1, 0.4, 0.1, 0]
MANY = [14.5, 11, 8, 6, 4.2, 3.1, 2.2, 1.5, 1.1, 0.8, 0.55, 0.3, 0.15, 0.05, 0]
VALUES = 6


def estimate(x, sigma):
    level = sigma**2
    variance = level + 0.25
    return (0.25 * x + level * torch.tanh(x / variance)) / variance


class Noise:
    """The k-th value of all is 1.4 sin k."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, *ignored, **also_ignored):
        values = 1.4 * torch.sin(torch.arange(self.drawn, self.drawn + VALUES, dtype=torch.float64))
        self.drawn += VALUES
        return values.reshape(1, VALUES)


def start(sigma):
    return (sigma * torch.cos(torch.arange(VALUES, dtype=torch.float64))).reshape(1, VALUES)


def show(peer, name, eta, sigmas, x):
    numbers = lambda values: " ".join(f"{float(v):.9g}" for v in values)
    print(f"{peer} | {name} | {eta} | {numbers(sigmas)} | {numbers(x.flatten())}")


def k_diffusion():
    package = types.ModuleType("k_diffusion")  # without the parts that need a dozen other packages
    package.__path__ = [importlib.util.find_spec("k_diffusion").submodule_search_locations[0]]
    sys.modules["k_diffusion"] = package
    utils = types.ModuleType("k_diffusion.utils")
    utils.append_dims = lambda x, dims: x[(...,) + (None,) * (dims - x.ndim)]
    sys.modules["k_diffusion.utils"] = utils
    sampling = importlib.import_module("k_diffusion.sampling")
    model = lambda x, sigma, **ignored: estimate(x, sigma.reshape(-1, 1))

    def run(name, function, eta=None, **options):
        for sigmas in (SIGMAS, MANY):
            if eta is not None:
                options.update(eta=eta, noise_sampler=Noise())
            x = getattr(sampling, function)(model, start(sigmas[0]), torch.tensor(sigmas), disable=True, **options)
            show("k-diffusion", name, "-" if eta is None else eta, sigmas, x)

    for name, function in [
        ("euler", "sample_euler"),
        ("heun", "sample_heun"),
        ("dpm2", "sample_dpm_2"),
        ("dpm++2m", "sample_dpmpp_2m"),
        ("lms", "sample_lms"),
    ]:
        run(name, function)
    for eta in (1.0, 0.6, 0.0):
        for name, function in [
            ("euler_a", "sample_euler_ancestral"),
            ("dpm2_a", "sample_dpm_2_ancestral"),
            ("dpm++2s_a", "sample_dpmpp_2s_ancestral"),
            ("dpm++sde", "sample_dpmpp_sde"),
            ("dpm++2m_sde", "sample_dpmpp_2m_sde"),
            ("dpm++3m_sde", "sample_dpmpp_3m_sde"),
        ]:
            run(name, function, eta)
        run("dpm++2m_sde_heun", "sample_dpmpp_2m_sde", eta, solver_type="heun")
    # iPNDM with exact weights is LMS but for its last step.
    for sigmas in (SIGMAS, MANY):
        x = sampling.sample_lms(model, start(sigmas[0]), torch.tensor(sigmas[:-1]), disable=True)
        show("k-diffusion", "ipndm_v", "-", sigmas, estimate(x, sigmas[-2]))


def diffusers():
    import diffusers
    import diffusers.schedulers.scheduling_lcm
    import diffusers.schedulers.scheduling_tcd

    common = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
    level = lambda alpha: float(((1 - alpha) / alpha) ** 0.5)

    def make(kind, **options):
        scheduler = kind(**common, **options)
        scheduler.alphas_cumprod = alphas  # float64
        scheduler.final_alpha_cumprod = torch.tensor(1.0)
        return scheduler

    def run(name, shown_eta, scheduler, steps, ends_in_estimate=False, **options):
        scheduler.set_timesteps(steps)
        timesteps = [int(t) for t in scheduler.timesteps]
        sigmas = [level(alphas[t]) for t in dict.fromkeys(timesteps)] + [0]
        x = start(sigmas[0]) * alphas[timesteps[0]] ** 0.5
        for i, t in enumerate(timesteps):
            clean = estimate(x / alphas[t] ** 0.5, level(alphas[t]))
            output = (x - alphas[t] ** 0.5 * clean) / (1 - alphas[t]) ** 0.5
            if ends_in_estimate and i == len(timesteps) - 1:
                x = clean
            else:
                more = {key: value() if callable(value) else value for key, value in options.items()}
                x = scheduler.step(output, t, x, **more, return_dict=False)[0]
        show("diffusers", name, shown_eta, sigmas, x)

    for steps in (5, 10, 20):
        for name, spacing in [("ddim", "leading"), ("ddim_trailing", "trailing")]:
            for eta in (0.0, 0.7):
                ddim = make(diffusers.DDIMScheduler, clip_sample=False, steps_offset=1, timestep_spacing=spacing)
                run(name, eta, ddim, steps, eta=eta, variance_noise=Noise())
        run("plms", "-", make(diffusers.PNDMScheduler, skip_prk_steps=True, steps_offset=1), steps)
    for steps in (2, 4, 8):
        diffusers.schedulers.scheduling_lcm.randn_tensor = Noise()
        run("lcm", "-", make(diffusers.LCMScheduler), steps)
        for eta in (0.0, 0.3, 0.8):
            # At the end diffusers goes to the noise level of timestep 0; to 0 is the estimate.
            diffusers.schedulers.scheduling_tcd.randn_tensor = Noise()
            run("tcd", eta, make(diffusers.TCDScheduler), steps, ends_in_estimate=True, eta=eta)

    for name, kind in [("unipc", "bh1"), ("unipc_bh2", "bh2")]:
        for steps in (3, 5, 15):
            unipc = diffusers.UniPCMultistepScheduler(**common, solver_order=3, solver_type=kind)
            unipc.set_timesteps(steps)
            sigmas = unipc.sigmas = unipc.sigmas.double()
            x = start(sigmas[0]) / (1 + sigmas[0] ** 2) ** 0.5
            for i, (t, sigma) in enumerate(zip(unipc.timesteps, sigmas)):
                scale = (1 + sigma**2) ** 0.5
                clean = estimate(x * scale, sigma)
                if i == steps - 1:
                    x = clean  # with bh1 diffusers' own last step is not a number
                else:
                    x = unipc.step((x * scale - clean) / sigma, t, x, return_dict=False)[0]
            show("diffusers", name, "-", sigmas, x)


if __name__ == "__main__":
    print("# " + __doc__.strip().replace("\n", "\n# ").replace("# \n", "#\n"))
    print("#\n# peer | sampler | eta | sigmas | latent at the end")
    k_diffusion()
    diffusers()
