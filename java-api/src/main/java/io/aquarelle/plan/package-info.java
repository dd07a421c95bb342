/**
 * Step plans: what each call of the UNet computes, stores, reuses or leaves out.
 *
 * <p>A {@link io.aquarelle.plan.Run} is the list of calls that a sampler will make, and a
 * {@link io.aquarelle.plan.StepPolicy} gives each of them a {@link io.aquarelle.plan.StepPlan}: which branches of
 * classifier-free guidance run, and an {@link io.aquarelle.plan.Action} for each {@link io.aquarelle.plan.Unit} of the
 * network. Calls are counted, not sampling steps: samplers of second order call twice a step. Policies are pure
 * functions of the run and can be chained with {@link io.aquarelle.plan.StepPolicy#then}:
 *
 * {@snippet :
 * // The negative prompt until the last third; all but the outermost layers every third call.
 * StepPolicy plan = new SelectiveGuidance(CallSelection.lastPercent(33))
 *         .then(new FeatureInheritance(UnitSelection.decoderLayer(0), CallSelection.every(3)));
 * ImageRequest request = pipeline.request("a red apple").plan(plan).build();
 * pipeline.explain(request); // what each call would do, and its share of the multiply-adds
 * }
 *
 * <p>A policy may leave decisions to the time of drawing: its {@link io.aquarelle.plan.Adaptation} is asked before each
 * call and told what came of it. Everything here is immutable but the state of an adaptation, of which each picture has
 * its own. A plan that leaves nothing out draws the same picture to the bit.
 *
 * <h2>Which one?</h2>
 *
 * <p>Start with the plan that is found by itself, {@code --plan auto:30}. For a choice of your own, this is what 100
 * pictures of the demonstration model cost (20 steps of euler_a, guidance 4; the median of their peak signal-to-noise
 * ratios to the full run). Of the 100 pictures 98 or more showed what was asked for under each of them. By far the most
 * is saved by two inheritances together: nearly all layers for a call or two, and those of the middle, which hardly
 * change, for much longer. Other models and samplers differ, so measure: {@code --dry-run} tells the work without
 * drawing, and {@code evaluate --plans} of the examples makes such a table.
 *
 * <table>
 * <caption>Quality and work</caption>
 * <thead><tr><th>option of the command</th><th>multiply-adds</th><th>dB</th></tr></thead>
 * <tbody>
 * <tr><td>{@code --inherit block~0.5}</td><td>91 %</td><td>38</td></tr>
 * <tr><td>{@code --cond-only-last 20}</td><td>91 %</td><td>26</td></tr>
 * <tr><td>{@code --inherit block/3}</td><td>84 %</td><td>30</td></tr>
 * <tr><td>{@code --cond-only-last 50}</td><td>77 %</td><td>22</td></tr>
 * <tr><td>{@code --steps 13}</td><td>65 %</td><td>27</td></tr>
 * <tr><td>{@code --inherit block:3/3}</td><td>63 %</td><td>30</td></tr>
 * <tr><td>{@code --inherit layer:2/8}</td><td>55 %</td><td>52</td></tr>
 * <tr><td>{@code --plan auto:40}</td><td>50 %</td><td>44</td></tr>
 * <tr><td>{@code --inherit layer:0^8:8:1.4}</td><td>47 %</td><td>33</td></tr>
 * <tr><td>{@code --inherit layer:0/3}</td><td>42 %</td><td>34</td></tr>
 * <tr><td>{@code --steps 8}</td><td>40 %</td><td>25</td></tr>
 * <tr><td>{@code --inherit layer:2/8 --inherit layer:0/2}</td><td>37 %</td><td>40</td></tr>
 * <tr><td>{@code --inherit layer:2/6 --inherit layer:0/3}</td><td>35 %</td><td>34</td></tr>
 * <tr><td>{@code --inherit layer:2/8 --inherit layer:0@0,4,7,10,12,14,16,18}</td><td>34 %</td><td>38</td></tr>
 * <tr><td>{@code --inherit layer:0/5}</td><td>29 %</td><td>24</td></tr>
 * <tr><td>{@code --plan auto:35}</td><td>28 %</td><td>37</td></tr>
 * <tr><td>{@code --plan auto:30}</td><td>21 %</td><td>30</td></tr>
 * <tr><td>{@code --plan auto:26}</td><td>19 %</td><td>29</td></tr>
 * <tr><td>{@code --plan auto:22}</td><td>13 %</td><td>22</td></tr>
 * </tbody>
 * </table>
 *
 * <p><img src="doc-files/plans.jpg" alt="Pictures of the demonstration model under eight plans" width="1024">
 *
 * <p>A row a prompt (sun with face; rainbow on a red background; cyclone); from left to right the full run, {@code
 * --cond-only-last 50}, {@code --inherit block:3/3}, {@code --inherit layer:0/3}, {@code --inherit layer:2/8 --inherit
 * layer:0/2}, {@code --inherit unit:cross@0-9}, {@code --inherit layer:0/5}, {@code --steps 8}.
 *
 * <h2>Selective guidance</h2>
 *
 * <p>{@link io.aquarelle.plan.SelectiveGuidance} leaves the negative prompt out of some calls, mostly the last ones,
 * where the picture is decided (Golnari, Yao and He, arXiv 2305.09847). Such a call costs half. It needs no memory and
 * suits every model that is guided, but what it changes is contrast and colour all over the picture: shapes stay, often
 * smoother, while the signal-to-noise ratio falls more than by any other plan for what it saves. Use it where looks
 * count and not likeness to the full run.
 *
 * <pre>--cond-only-last 40</pre>
 * {@snippet :
 * new SelectiveGuidance(CallSelection.lastPercent(40))
 * }
 *
 * <h2>Feature inheritance</h2>
 *
 * <p>{@link io.aquarelle.plan.FeatureInheritance} computes parts of the UNet in key calls only and takes their outputs
 * from there in the calls between (A-SDM, arXiv 2406.00210, names three granularities):
 *
 * <ul>
 *   <li>blocks: {@link io.aquarelle.plan.UnitSelection#encoder()} reuses the encoder (Faster Diffusion, arXiv
 *       2312.09608), which leaves 69 % of a call at SD 1.5's shapes, and {@link
 *       io.aquarelle.plan.UnitSelection#encoder(int)} the start of the decoder as well: 47 % with half of it;
 *   <li>layers: {@link io.aquarelle.plan.UnitSelection#decoderLayer} reuses all but the outermost layers (DeepCache,
 *       arXiv 2312.00858): 8, 20 or 37 % for 1, 2 or 3 of them;
 *   <li>units: {@link io.aquarelle.plan.UnitSelection#named} reuses attentions or anything else by name (T-GATE, arXiv
 *       2404.02747; pyramid attention broadcast, arXiv 2408.12588). A gate for cross-attention is the list of the first
 *       calls. It saves little, as most of the work is elsewhere. {@code unit:out} is the whole call: between key calls
 *       the output stays, for nothing.
 * </ul>
 *
 * <p>With layers all calls see the latent, with blocks only key calls do: the decoder that is left sees the same
 * encoder's outputs and another timestep. So layers keep more of the picture for the same work, and blocks in their
 * favour have little but the papers. {@code block:6} costs no more quality than {@code block}, as the start of the
 * decoder follows from the encoder too. Key calls are every N-th, a list, or {@linkplain
 * io.aquarelle.plan.CallSelection#powerLaw DeepCache's power law}; with samplers that add noise, the late calls matter
 * most. Best with many steps: under ten, all calls differ too much from each other. What is stored takes memory: at 512
 * pixels 5 MB a branch for a layer, 27 for the encoder.
 *
 * <pre>
 * --inherit block/3                 --inherit block:6@0-5,8,11,14,17
 * --inherit layer:0/3               --inherit layer:1^8:10:1.4
 * --inherit unit:cross@0-9          --inherit layer:2/8 --inherit layer:0/2</pre>
 * {@snippet :
 * new FeatureInheritance(UnitSelection.encoder(6), CallSelection.listed("0-5,8,11,14,17"));
 * new FeatureInheritance(UnitSelection.decoderLayer(1), CallSelection.powerLaw(8, 10, 1.4));
 * new FeatureInheritance(UnitSelection.named("cross"), CallSelection.listed("0-9"));
 * }
 *
 * <h2>Deciding while drawing</h2>
 *
 * <p>{@link io.aquarelle.plan.AdaptiveInheritance} measures how strongly the output follows the input and computes a
 * part when its output is likely to have changed by a share. Use it where prompts differ much, or the sampler's steps
 * do.
 *
 * <pre>--inherit layer:0~0.1</pre>
 * {@snippet :
 * new AdaptiveInheritance(UnitSelection.decoderLayer(0), 0.1, AdaptiveInheritance.MOST)
 * }
 *
 * <h2>A plan that is found</h2>
 *
 * <p>{@link io.aquarelle.Pipeline#autoPlan} draws small calibration pictures with the model, steps and sampler of a
 * request, and picks the cheapest plan all of which are within so many dB of the full run. It takes some dozens of
 * pictures once, and is kept for the next time. Pictures of other prompts may differ more or less.
 *
 * <pre>--plan auto:30</pre>
 * {@snippet :
 * AutoPlan found = pipeline.autoPlan(request, 30, ProgressListener.NONE);
 * GeneratedImage image = pipeline.generate(request.toBuilder().plan(found.policy()).build()).getFirst();
 * }
 *
 * <h2>Several UNets</h2>
 *
 * <p>{@link io.aquarelle.plan.UNetSwitching} gives steps to other UNets: a small one that makes the layout of the
 * picture and the full one after it (A-SDM), or a tuned one for some of the way. Both must have the same latent, text
 * width and prediction. Small UNets need no plan to be small: their structure is read from the file.
 *
 * <pre>--unet small-sd.safetensors@0-8</pre>
 * {@snippet :
 * int small = pipeline.addUNet(Path.of("small-sd.safetensors"));
 * new UNetSwitching(List.of(new UNetSwitching.Stretch(small, 0, 8)))
 * }
 *
 * <h2>Temporal experts</h2>
 *
 * <p>{@link io.aquarelle.plan.TemporalExperts} follows the masks of ALTER (arXiv 2505.21817), which leave out layers
 * by timestep, 35 to 40 % of the work. They need a UNet that was trained with its masks: on any other the picture falls
 * apart. {@link io.aquarelle.plan.UnitSkipping} leaves out units of your choice; without training the middle block in
 * late calls is about all that can be spared.
 *
 * <pre>--plan pruning_mask.pth</pre>
 * {@snippet :
 * TemporalExperts experts = ExpertMasks.read(Path.of("pruning_mask.pth"));
 * }
 *
 * <h2>Fewer calls</h2>
 *
 * <p>Adapters and students that were trained for few steps are no plans but save most where there is one for the model:
 * a
 * {@linkplain io.aquarelle.model.SpeedUpNet SpeedUpNet} (arXiv 2312.08887) draws in four calls with the negative prompt
 * built in, a student of guidance distillation (arXiv 2312.06899) and a latent consistency model (arXiv 2310.04378)
 * need no second branch. Plans add little to four steps, and selective guidance nothing where no call is guided: that
 * is refused, as is every mix that has no meaning.
 *
 * <pre>
 * --sun sun_4step_addpos.safetensors
 * --lora lcm-lora.safetensors:1 --sampling-method lcm --steps 4 --cfg-scale 1</pre>
 *
 * <h2>Files</h2>
 *
 * <p>The command reads the same plans, chained in this order, from JSON with {@code --plan FILE.json}:
 *
 * {@snippet lang = json :
 * {
 *   "unets": [{"file": "small-sd.safetensors", "steps": [0, 8]}],
 *   "guidance": {"cond_only_last_pct": 40},
 *   "experts": {"file": "pruning_mask.pth"},
 *   "inherit": [{"level": "layer", "branch": 0, "mode": "uniform", "interval": 3}],
 *   "skip": [{"unit": "middle_block", "calls": "15-"}]
 * }
 * }
 */
@NullMarked
package io.aquarelle.plan;

import org.jspecify.annotations.NullMarked;
