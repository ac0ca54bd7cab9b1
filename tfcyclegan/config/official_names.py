"""What the options of the official PyTorch programs (CycleGAN, pix2pix, CUT) are called here, for
those who type them; docs/migrating/official.md has the same with explanations.
"""

_NONE = "has no counterpart"
_FROM_SEED = f"{_NONE}: the order follows from --seed"
_DIRECTION = "is the order of the data's domains here: see docs/migrating/official.md"

RECIPE = {
    "beta1": "beta_1",
    "beta2": "beta_2",
    "init_type": "init",
    "lambda_A": "lambda_a",
    "lambda_B": "lambda_b",
    "lambda_GAN": "lambda_gan",
    "lambda_L1": "lambda_l1",
    "lambda_NCE": "lambda_nce",
    "lr": "learning_rate",
    "lr_decay_iters": "step_epochs",
    "lr_policy": "schedule",
    "n_epochs": "epochs",
    "n_epochs_decay": "decay_epochs",
    "nce_T": "nce_temperature",
    "nce_idt": "nce_identity",
    "nce_includes_all_negatives_from_minibatch": "nce_all_negatives",
    "niter": "epochs",
    "niter_decay": "decay_epochs",
}
"""{official option: our option} with the same values, of how a network is trained."""

OFFICIAL_NAMES = {name: f"is --{own}" for name, own in RECIPE.items()} | {
    "dataroot": "is --data_dir, of data made by python -m data_prep.folders",
    "checkpoints_dir": "and --name are --run_dir",
    "name": "and --checkpoints_dir are --run_dir",
    "model": "is --method",
    "CUT_mode": "is --method=cut or fastcut",
    "dataset_mode": f"{_NONE}: --method says which data are needed",
    "direction": _DIRECTION,
    "input_nc": "is --channels_a",
    "output_nc": "is --channels_b",
    "netG": "is --generator",
    "ngf": "is --base_filters",
    "netD": "is --discriminator",
    "ndf": "is --discriminator_filters",
    "n_layers_D": "is --discriminator_layers",
    "normG": "and --normD are --norm",
    "normD": "and --normG are --norm",
    "no_dropout": "is --nodropout",
    "no_antialias": "is --noantialias",
    "no_antialias_up": "is --noantialias_up",
    "no_flip": "is --noflip",
    "gpu_ids": "is --devices, a number",
    "netF": f"{_NONE}: the patch sampler is always mlp_sample",
    "netF_nc": f"{_NONE}: the patch sampler's vectors always have 256 numbers",
    "continue_train": "is not needed: the same command continues its run",
    "epoch_count": "is not needed: the same command continues its run",
    "pretrained_name": "is --init_from, a run directory",
    "save_latest_freq": "is --checkpoint_every_steps",
    "save_epoch_freq": "is --checkpoint_every_steps",
    "print_freq": "is --log_every_steps",
    "display_freq": "is --sample_every_steps",
    "use_wandb": "is --track=wandb",
    "serial_batches": _FROM_SEED,
    "max_dataset_size": f"{_NONE}: all pictures are used",
    "num_threads": f"{_NONE}: all cores are used",
    "num_test": f"{_NONE}: all pictures are translated",
    "results_dir": "is --output",
    "phase": "is --split",
    "epoch": "is --checkpoint, and that of .pth files is import_weights --epoch",
    "load_iter": "is --checkpoint",
    "eval": "is the default; --training_mode is the opposite",
    "model_suffix": "is --direction",
}
"""{official option: what it is here}, to be read behind the option's name."""
