/** Keys of SAELens' cfg.json: which we read, and which say how it was trained and nothing about what the weights mean. */

export const V6_UNDERSTOOD: ReadonlySet<string> = new Set([
  'architecture', 'd_in', 'd_sae', 'd_out', 'dtype', 'apply_b_dec_to_input', 'normalize_activations', 'reshape_activations', 'k', 'rescale_acts_by_decoder_norm', 'metadata',
]);

export const V6_IRRELEVANT: ReadonlySet<string> = new Set([
  'device', 'l1_coefficient', 'lp_norm', 'l1_warm_up_steps', 'l0_coefficient', 'l0_warm_up_steps', 'decoder_init_norm', 'jumprelu_init_threshold', 'jumprelu_bandwidth',
  'jumprelu_sparsity_loss_mode', 'jumprelu_tanh_scale', 'jumprelu_ste_to_input', 'pre_act_loss_coefficient', 'target_l0', 'aux_loss_coefficient', 'use_sparse_activations',
  'sae_lens_version', 'sae_lens_training_version',
]);

export const METADATA_KEYS: ReadonlySet<string> = new Set([
  'model_name', 'hook_name', 'hook_head_index', 'hook_name_out', 'hook_head_index_out', 'model_class_name', 'model_from_pretrained_kwargs', 'prepend_bos', 'exclude_special_tokens',
  'neuronpedia_id', 'context_size', 'seqpos_slice', 'dataset_path', 'sae_lens_version', 'sae_lens_training_version', 'hf_hook_name', 'hf_hook_name_out', 'made_by', 'dictionary',
]);

/** Old name to new. */
export const LEGACY_RENAMED: ReadonlyMap<string, string> = new Map([
  ['hook_point', 'hook_name'],
  ['hook_point_head_index', 'hook_head_index'],
  ['activation_fn_str', 'activation_fn'],
]);

export const LEGACY_UNDERSTOOD: ReadonlySet<string> = new Set(['activation_fn', 'activation_fn_kwargs', 'finetuning_scaling_factor']);

/** The whole training configuration was written into cfg.json up to version 3, and some of it up to version 5. */
export const LEGACY_IRRELEVANT: ReadonlySet<string> = new Set([
  'hook_layer', 'hook_point_layer', 'hook_point_eval', 'hook_eval', 'dataset_trust_remote_code', 'streaming', 'is_dataset_tokenized', 'use_cached_activations', 'cached_activations_path',
  'n_batches_in_buffer', 'training_tokens', 'total_training_tokens', 'finetuning_tokens', 'store_batch_size', 'store_batch_size_prompts', 'train_batch_size', 'train_batch_size_tokens',
  'tokens_per_buffer', 'seed', 'act_store_device', 'autocast', 'autocast_lm', 'compile_llm', 'llm_compilation_mode', 'compile_sae', 'sae_compilation_mode', 'b_dec_init_method',
  'expansion_factor', 'from_pretrained_path', 'adam_beta1', 'adam_beta2', 'lr', 'lr_end', 'lr_scheduler_name', 'lr_warm_up_steps', 'lr_decay_steps', 'n_restart_cycles', 'use_ghost_grads',
  'ghost_grad_coefficient', 'feature_sampling_window', 'feature_sampling_method', 'resample_batches', 'feature_reinit_scale', 'dead_feature_window', 'dead_feature_estimation_method',
  'dead_feature_threshold', 'mse_loss_normalization', 'finetuning_method', 'noise_scale', 'init_encoder_as_decoder_transpose', 'decoder_orthogonal_init', 'decoder_heuristic_init',
  'decoder_heuristic_init_norm', 'normalize_sae_decoder', 'scale_sparsity_penalty_by_decoder_norm', 'n_eval_batches', 'eval_batch_size_prompts', 'log_to_wandb',
  'log_activations_store_to_wandb', 'log_optimizer_state_to_wandb', 'wandb_project', 'wandb_id', 'run_name', 'wandb_entity', 'wandb_log_frequency', 'eval_every_n_wandb_logs', 'resume',
  'n_checkpoints', 'checkpoint_path', 'checkpoint_every', 'verbose', 'sae_lens_version', 'sae_lens_training_version', 'prepend_bos', 'sparsity', 'release', 'sae_id', 'disable_concat_sequences',
  'sequence_separator_token', 'load_from_pretrained', 'conversion_name', 'repo_id', 'folder_name',
]);
