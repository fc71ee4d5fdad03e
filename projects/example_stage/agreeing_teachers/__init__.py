from agreeing_teachers.stage import AgreeStage

__all__ = ['AgreeStage']
