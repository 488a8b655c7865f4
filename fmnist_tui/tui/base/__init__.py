from fmnist_tui.tui.base.timers import keep_one_shot_timers

keep_one_shot_timers()
