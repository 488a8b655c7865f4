from fmnist_tui.tui.base.timers import keep_one_shot_timers

# Before any screen or widget sets a timer.
keep_one_shot_timers()
