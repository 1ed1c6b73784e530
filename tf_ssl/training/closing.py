"""The last lines that a run prints."""

from tf_ssl.training import pretrain


def lines(result: pretrain.PretrainResult) -> list[str]:
  """What was learned, where it lies, what to do next; one line each."""
  if not result.finished:
    return [
      f"Stopped by {result.stopped_by} after step {result.step} of"
      f" {result.num_steps}; saved {result.checkpoint}. To go on:"
      f" {result.command}"
    ]
  learned = f"Learned:     {result.num_steps} steps in {result.model_dir}"
  if result.knn_after is not None:
    learned = (
      f"Learned:     kNN {result.knn_before:.1%} (untrained) ->"
      f" {result.knn_after:.1%} (trained) on held-out images,"
      f" k {result.knn_k}, T {result.knn_temperature}"
    )
  return [
    learned,
    f"Checkpoint:  {result.checkpoint}",
    f"SavedModel:  {result.saved_model}",
    f"TensorBoard: tensorboard --logdir {result.tensorboard}",
    f"Next:        {result.next_command}",
  ]
