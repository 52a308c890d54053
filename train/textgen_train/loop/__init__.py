"""The training loop.

- ``run.py`` runs updates and evaluations until the budget is used up; ``output_folder.py`` checks
  and locks the folder of its files.
- ``trainer.py`` makes updates until the budget is used up, and ``learner.py`` makes one of them.
  ``setup.py`` says what a recipe trains; ``default_setup.py`` and ``classic_setup.py`` do it for each.
- ``replicas.py`` computes gradients in threads. ``ranks.py`` and ``distributed.py`` add those of other
  processes.
- ``eval_schedule.py`` decides when to evaluate; ``evaluator.py`` evaluates, with ``held_out_loss.py`` and
  ``samples.py``. ``teachers.py`` predicts the training text with other models. Both run a model over a text
  with ``text_parts.py``.
- ``checkpoint.py`` defines the complete state of a run; ``checkpoint_file.py`` reads and writes it.
- ``seeds.py`` derives the seed of each draw.
- ``events.py`` defines updates, evaluations and watchers; ``specification.py`` what a run trains on.
"""
